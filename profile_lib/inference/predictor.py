"""Token arrays and numbers in, predictions out, in row order; knows nothing of Spark.

Each distinct text is encoded once; near lengths share a batch, trimmed to its longest.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel


class Predictions(NamedTuple):
    """Of n rows, J the size of the interest vector, E the most events a text may hold."""

    vectors: np.ndarray  # (n, J) float32
    answers: dict[str, np.ndarray]  # task → probabilities (n,) or (n, classes), or values (n,)
    effects: dict[str, np.ndarray]  # task → (n, E) float32: what each event added to the score


class Predictor:
    """A model in evaluation mode, on the GPU where there is one."""

    def __init__(self, model: ProfileModel, separator_id: int, batch_tokens: int, max_events: int):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.separator_id = separator_id
        self.batch_tokens = batch_tokens
        self.max_events = max_events

    @classmethod
    def load(
        cls, folder: str, model_version: str, batch_tokens: int, max_events: int
    ) -> "Predictor":
        """From a saved model's folder. Raises InputError where it holds another version."""
        model, spec, about = load_model(folder)
        if about.model_version != model_version:
            raise InputError(
                f"{folder}: holds {about.model_version}, wanted {model_version}; "
                "the model was replaced during the refresh: run the refresh again"
            )
        return cls(model, spec.separator_id, batch_tokens, max_events)

    def predict(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, numeric: np.ndarray
    ) -> Predictions:
        """Predict rows of `token_ids` (n, T), `n_tokens` (n,) and `numeric` (n, F).

        The effect of an event on a task's score (the logit of a binary task, of a multiclass one's
        likeliest class) is the score's gradient by the pooled text, times what the event's tokens
        add to the pool: Grad-CAM (Selvaraju et al. 2017) on the encoder's last layer. Effects
        cost no pass through the encoder of their own.
        """
        out = self._empty(len(n_tokens))
        if not self.model.has_text:
            self._finish_numbers(numeric, out)
            return out
        distinct, rows_of = _distinct(token_ids, n_tokens)
        for pack in self._packs(n_tokens[distinct]):
            ids, lengths = token_ids[distinct[pack]], n_tokens[distinct[pack]]
            by_event = self._encode(ids[:, : lengths.max()], lengths)
            rows = np.concatenate([rows_of[i] for i in pack])
            text_of_row = np.repeat(np.arange(len(pack)), [len(rows_of[i]) for i in pack])
            for part in np.array_split(np.arange(len(rows)), -(-len(rows) // 1024)):
                self._finish(by_event, text_of_row[part], numeric[rows[part]], rows[part], out)
        return out

    def _encode(self, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """(U, E + 1, H): what each event adds to the text's mean; last: what none says."""
        tokens = torch.from_numpy(ids.astype(np.int64)).to(self.device)
        n = torch.from_numpy(lengths.astype(np.int64)).to(self.device)
        with torch.inference_mode():
            hidden = self.model.encode(tokens, n)
            ends = (tokens == self.separator_id).long()
            # [SEP] ends its event; what stands before the first event goes to the last place
            event = (ends.cumsum(1) - ends - 1).clamp(max=self.max_events - 1)
            is_token = torch.arange(tokens.shape[1], device=self.device) < n[:, None]
            shares = hidden * (is_token / n[:, None]).unsqueeze(-1).to(hidden.dtype)
            sums = shares.new_zeros(len(ids), self.max_events + 1, hidden.shape[-1])
            return sums.index_put_(
                (torch.arange(len(ids), device=self.device)[:, None].expand_as(event), event),
                shares,
                accumulate=True,
            )

    def _finish(
        self,
        by_event: torch.Tensor,
        text: np.ndarray,
        numeric: np.ndarray,
        rows: np.ndarray,
        out: Predictions,
    ) -> None:
        events = by_event[torch.from_numpy(text).to(self.device)].clone()
        pooled = events.sum(1).requires_grad_(True)
        numbers = self.model.numbers(torch.from_numpy(numeric).float().to(self.device))
        vector, logits = self.model.heads_from(pooled, numbers)
        self._take(vector, logits, rows, out)
        for task, logit in logits.items():
            score = logit if logit.dim() == 1 else logit.max(-1).values
            (slope,) = torch.autograd.grad(score.sum(), pooled, retain_graph=True)
            effect = torch.einsum("neh,nh->ne", events[:, : self.max_events], slope)
            out.effects[task][rows] = effect.cpu().numpy()

    def _finish_numbers(self, numeric: np.ndarray, out: Predictions) -> None:
        """Of a model without text, whose events have no effects."""
        for part in np.array_split(np.arange(len(numeric)), -(-len(numeric) // 8192) or 1):
            numbers = self.model.numbers(torch.from_numpy(numeric[part]).float().to(self.device))
            self._take(*self.model.heads_from(None, numbers), part, out)

    def _take(
        self,
        vector: torch.Tensor,
        logits: dict[str, torch.Tensor],
        rows: np.ndarray,
        out: Predictions,
    ) -> None:
        out.vectors[rows] = vector.detach().cpu().numpy()
        for task in self.model.spec.tasks:
            answers = task.answers(logits[task.name].detach())
            out.answers[task.name][rows] = answers.cpu().numpy()

    def _packs(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Indices in packs of near lengths, none above `batch_tokens` padded tokens."""
        order = np.argsort(-lengths, kind="stable")
        at = 0
        while at < len(order):
            size = max(1, self.batch_tokens // int(lengths[order[at]]))
            yield order[at : at + size]
            at += size

    def _empty(self, n: int) -> Predictions:
        spec = self.model.spec
        return Predictions(
            np.zeros((n, spec.joined_size), np.float32),
            {
                t.name: np.zeros((n, len(t.classes)) if t.classes else n, np.float32)
                for t in spec.tasks
            },
            {t.name: np.zeros((n, self.max_events), np.float32) for t in spec.tasks},
        )


def _distinct(token_ids: np.ndarray, n_tokens: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The first row of each distinct text, and for each text all its rows."""
    if not len(n_tokens):
        return np.zeros(0, np.int64), []
    lines = np.ascontiguousarray(token_ids).view(
        np.dtype((np.void, token_ids.dtype.itemsize * token_ids.shape[1]))
    )
    _, first, text = np.unique(lines.ravel(), return_index=True, return_inverse=True)
    order = np.argsort(text, kind="stable")
    return first, np.split(order, np.cumsum(np.bincount(text))[:-1])
