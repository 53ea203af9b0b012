"""Token arrays and numbers in, predictions out, in row order; knows nothing of Spark.

Each distinct text is encoded once; near lengths share a pass, trimmed to its longest.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from profile_lib.errors import InputError
from profile_lib.inference.runtime_choice import RuntimeName
from profile_lib.inference.runtimes import Runtime, choose_runtime, load_runtime
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel


class Predictions(NamedTuple):
    """Of n rows, J the size of the interest vector, E the most events a text may hold."""

    vectors: np.ndarray  # (n, J) float32
    outputs: dict[str, np.ndarray]  # task → probabilities (n,) or (n, classes), or values (n,)
    effects: dict[str, np.ndarray]  # task → (n, E) float32: what each event added to the score


class EncodingStats(NamedTuple):
    """What a predictor has encoded."""

    texts: int
    tokens: int
    padding: int  # tokens computed beside those of the texts


class Predictor:
    """A model in evaluation mode, its encoder run by `runtime`.

    The last row's text of a batch is remembered: where rows come sorted by text, equal texts that
    fall into two batches are still encoded once.
    """

    def __init__(
        self,
        model: ProfileModel,
        runtime: Runtime,
        separator_id: int,
        batch_tokens: int,
        max_events: int,
    ):
        self.runtime, self.device = runtime, runtime.device
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.separator_id = separator_id
        self.batch_tokens = batch_tokens
        self.max_events = max_events
        self.stats = EncodingStats(0, 0, 0)
        self._last: tuple[bytes, torch.Tensor] | None = None  # a text, and its events' parts

    @classmethod
    def load(
        cls,
        folder: str,
        model_version: str,
        *,
        runtime: RuntimeName,
        device: torch.device,
        threads: int,
        batch_tokens: int,
        max_events: int,
    ) -> "Predictor":
        """From a saved model's folder, on `device` and, where that is a processor, `threads`.

        Raises InputError where it holds another version, or where the runtime cannot run.
        """
        name = choose_runtime(runtime, folder, device)
        model, spec, manifest = load_model(folder, with_encoder=name != "openvino_int8")
        if manifest.model_version != model_version:
            raise InputError(
                f"{folder}: holds {manifest.model_version}, wanted {model_version}; "
                "the model was replaced during the refresh: run the refresh again"
            )
        encoder = load_runtime(name, folder, model.to(device).eval(), device, threads)
        return cls(model, encoder, spec.separator_id, batch_tokens, max_events)

    def predict(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, numeric: np.ndarray
    ) -> Predictions:
        """Predict rows of `token_ids` (n, T), `n_tokens` (n,) and `numeric` (n, F).

        The effect of an event on a task's score (the logit of a binary task, of a multiclass one's
        likeliest class) is the score's gradient by the pooled text, times what the event's tokens
        add to the pool: Grad-CAM (Selvaraju et al. 2017) on the encoder's last layer. Effects
        cost no pass through the encoder of their own.
        """
        out = self._allocate(len(n_tokens))
        if not len(n_tokens):
            return out
        if not self.model.has_text:
            self._predict_without_text(numeric, out)
            return out
        texts = _DistinctTexts(token_ids)
        for pack, by_event in self._encode_packs(token_ids, n_tokens, texts):
            rows = np.concatenate([texts.rows_of_text[i] for i in pack])
            text_of_row = np.repeat(
                np.arange(len(pack)), [len(texts.rows_of_text[i]) for i in pack]
            )
            for part in np.array_split(np.arange(len(rows)), -(-len(rows) // 1024)):
                self._predict_rows(
                    by_event, text_of_row[part], numeric[rows[part]], rows[part], out
                )
        return out

    def pool(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> np.ndarray:
        """(n, H) float32: the means of the last hidden states of texts (n, T), without numbers.

        Raises InputError where the model reads no text.
        """
        bert = self.model.spec.bert
        if bert is None:
            raise InputError("this model reads no text, so that texts have no vectors: model.text")
        texts, out = (
            _DistinctTexts(token_ids),
            np.zeros((len(n_tokens), bert["hidden_size"]), np.float32),
        )
        for pack, by_event in self._encode_packs(token_ids, n_tokens, texts):
            pooled = by_event.sum(1).cpu().numpy()
            for place, text in enumerate(pack):
                out[texts.rows_of_text[text]] = pooled[place]
        return out

    def _encode_packs(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, texts: "_DistinctTexts"
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Packs of distinct texts, each with what `_encode_pack` tells of them."""
        todo, last = np.arange(len(texts.first_row)), texts.keys[-1:].tobytes()
        if self._last is not None and texts.keys[:1].tobytes() == self._last[0]:
            yield texts.text_of_row[:1], self._last[1]
            todo = todo[todo != texts.text_of_row[0]]
        for places in self._pack_by_length(n_tokens[texts.first_row[todo]]):
            pack = todo[places]
            lengths = n_tokens[texts.first_row[pack]]
            by_event = self._encode_pack(token_ids[texts.first_row[pack], : lengths.max()], lengths)
            if len(found := np.flatnonzero(pack == texts.text_of_row[-1])):
                self._last = last, by_event[found].clone()
            yield pack, by_event

    def _encode_pack(self, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """(U, E + 1, H): what each event adds to the text's mean; last: what none says."""
        hidden, n_tokens = self.runtime.encode(ids, lengths), int(lengths.sum())
        self.stats = EncodingStats(
            *np.add(self.stats, (len(ids), n_tokens, ids.size - n_tokens)).tolist()
        )
        tokens = torch.from_numpy(ids.astype(np.int64)).to(self.device)
        n = torch.from_numpy(lengths.astype(np.int64)).to(self.device)
        with torch.inference_mode():
            ends = (tokens == self.separator_id).long()
            # [SEP] ends its event; what stands before the first event goes to the last place
            event = (ends.cumsum(1) - ends - 1).clamp(max=self.max_events - 1)
            is_token = torch.arange(tokens.shape[1], device=self.device) < n[:, None]
            shares = hidden * (is_token / n[:, None]).unsqueeze(-1)
            sums = shares.new_zeros(len(ids), self.max_events + 1, hidden.shape[-1])
            return sums.index_put_(
                (torch.arange(len(ids), device=self.device)[:, None].expand_as(event), event),
                shares,
                accumulate=True,
            )

    def _predict_rows(
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
        vector, logits = self.model.apply_heads(pooled, numbers)
        self._write_outputs(vector, logits, rows, out)
        for task, logit in logits.items():
            score = logit if logit.dim() == 1 else logit.max(-1).values
            (slope,) = torch.autograd.grad(score.sum(), pooled, retain_graph=True)
            effect = torch.einsum("neh,nh->ne", events[:, : self.max_events], slope)
            out.effects[task][rows] = effect.cpu().numpy()

    def _predict_without_text(self, numeric: np.ndarray, out: Predictions) -> None:
        """Of a model without text, whose events have no effects."""
        for part in np.array_split(np.arange(len(numeric)), -(-len(numeric) // 8192) or 1):
            numbers = self.model.numbers(torch.from_numpy(numeric[part]).float().to(self.device))
            self._write_outputs(*self.model.apply_heads(None, numbers), part, out)

    def _write_outputs(
        self,
        vector: torch.Tensor,
        logits: dict[str, torch.Tensor],
        rows: np.ndarray,
        out: Predictions,
    ) -> None:
        out.vectors[rows] = vector.detach().cpu().numpy()
        for task in self.model.spec.tasks:
            answers = task.to_predictions(logits[task.name].detach())
            out.outputs[task.name][rows] = answers.cpu().numpy()

    def _pack_by_length(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Indices in packs of near lengths, none above `batch_tokens` padded tokens."""
        order = np.argsort(-lengths, kind="stable")
        at = 0
        while at < len(order):
            size = max(1, self.batch_tokens // int(lengths[order[at]]))
            yield order[at : at + size]
            at += size

    def _allocate(self, n: int) -> Predictions:
        spec = self.model.spec
        return Predictions(
            np.zeros((n, spec.joined_size), np.float32),
            {
                t.name: np.zeros((n, len(t.classes)) if t.classes else n, np.float32)
                for t in spec.tasks
            },
            {t.name: np.zeros((n, self.max_events), np.float32) for t in spec.tasks},
        )


class _DistinctTexts:
    """The distinct texts among rows of token ids, numbered from 0."""

    def __init__(self, token_ids: np.ndarray) -> None:
        as_bytes = np.dtype((np.void, token_ids.dtype.itemsize * token_ids.shape[1]))
        self.keys = np.ascontiguousarray(token_ids).view(as_bytes).ravel()
        _, self.first_row, self.text_of_row = np.unique(
            self.keys, return_index=True, return_inverse=True
        )
        order = np.argsort(self.text_of_row, kind="stable")
        # text → its rows
        self.rows_of_text = np.split(order, np.cumsum(np.bincount(self.text_of_row))[:-1])
