"""Predict rows of token ids and numbers, in row order; knows nothing of Spark.

Each distinct text is encoded once; texts of similar length share a forward pass, trimmed to the
longest of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from profile_lib.arrays.length_packs import pack_by_length
from profile_lib.errors import InputError
from profile_lib.inference.distinct_texts import DistinctTexts
from profile_lib.inference.runtime import Runtime
from profile_lib.inference.runtime_choice import choose_runtime
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel

ROWS_PER_HEADS_PASS = 1024  # rows of texts whose heads are computed together
ROWS_PER_NUMERIC_PASS = 8192  # the same for a model without text


class Predictions(NamedTuple):
    """Predictions for n rows.

    J is the size of the interest vector, E the largest number of events per text.
    """

    vectors: np.ndarray  # (n, J) float32
    outputs: dict[str, np.ndarray]  # task → probabilities (n,) or (n, classes), or values (n,)
    effects: dict[str, np.ndarray]  # task → (n, E) float32: what each event added to the score


class EncodingStats(NamedTuple):
    """How much a predictor has encoded."""

    texts: int
    tokens: int
    padding: int  # padded positions that were computed in addition to the tokens


class Predictor:
    """A model in evaluation mode, its encoder run by `runtime`.

    The text of a batch's last row is remembered: if rows are sorted by text, equal texts that fall
    into two batches are still encoded once.
    """

    def __init__(
        self,
        model: ProfileModel,
        runtime: Runtime,
        separator_id: int,
        batch_tokens: int,
        max_events: int,
    ) -> None:
        self.runtime, self.device = runtime, runtime.device
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.separator_id = separator_id
        self.batch_tokens = batch_tokens
        self.max_events = max_events
        self.stats = EncodingStats(0, 0, 0)
        self._last: tuple[bytes, torch.Tensor] | None = None  # a text and its events' shares

    @classmethod
    def load(
        cls,
        folder: str,
        model_version: str,
        *,
        runtime: str,
        device: torch.device,
        threads: int,
        batch_tokens: int,
        max_events: int,
    ) -> "Predictor":
        """Load a saved model on `device`; on a processor it computes on `threads` threads.

        `runtime` is a value of `refresh.runtime`. Raises InputError if the folder holds another
        version of the model, or if the runtime cannot run it.
        """
        runtime_class = choose_runtime(runtime, folder, device)
        with_encoder = runtime_class.loads_torch_encoder
        model, spec, manifest = load_model(folder, with_encoder=with_encoder)
        if manifest.model_version != model_version:
            raise InputError(
                f"{folder}: holds {manifest.model_version}, wanted {model_version}; "
                "the model was replaced during the refresh: run the refresh again"
            )
        torch.set_num_threads(threads)
        encoder = runtime_class.load(folder, model.to(device).eval(), device, threads)
        return cls(model, encoder, spec.separator_id, batch_tokens, max_events)

    def predict(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, numeric: np.ndarray
    ) -> Predictions:
        """Predict rows of `token_ids` (n, T), `n_tokens` (n,) and `numeric` (n, F).

        A task's score is the logit of a binary task, or of a multiclass task's most probable
        class. An event's effect on it is the score's gradient with respect to the pooled text,
        times what the event's tokens add to the pool: Grad-CAM (Selvaraju et al. 2017) on the
        encoder's last layer. Effects need no additional pass through the encoder.
        """
        out = self._allocate(len(n_tokens))
        if not len(n_tokens):
            return out
        if not self.model.has_text:
            self._predict_without_text(numeric, out)
            return out
        texts = DistinctTexts(token_ids)
        for pack, by_event in self._encode_packs(token_ids, n_tokens, texts):
            rows = np.concatenate([texts.rows_of_text[i] for i in pack])
            rows_per_text = [len(texts.rows_of_text[i]) for i in pack]
            text_of_row = np.repeat(np.arange(len(pack)), rows_per_text)
            n_parts = -(-len(rows) // ROWS_PER_HEADS_PASS)
            for part in np.array_split(np.arange(len(rows)), n_parts):
                part_rows = rows[part]
                self._predict_rows(by_event, text_of_row[part], numeric[part_rows], part_rows, out)
        return out

    def pool(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> np.ndarray:
        """Return the mean last hidden states (n, H), float32, of texts (n, T) without numbers.

        Raises InputError if the model reads no text.
        """
        bert = self.model.spec.bert
        if bert is None:
            raise InputError("this model reads no text, so that texts have no vectors: model.text")
        texts = DistinctTexts(token_ids)
        vectors = np.zeros((len(n_tokens), bert["hidden_size"]), np.float32)
        for pack, by_event in self._encode_packs(token_ids, n_tokens, texts):
            pooled = by_event.sum(1).cpu().numpy()
            for i, text in enumerate(pack):
                vectors[texts.rows_of_text[text]] = pooled[i]
        return vectors

    def _encode_packs(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, texts: DistinctTexts
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield packs of distinct texts, each with what `_encode_pack` returns for it."""
        todo, last = np.arange(len(texts)), texts.keys[-1:].tobytes()
        if self._last is not None and texts.keys[:1].tobytes() == self._last[0]:
            yield texts.text_of_row[:1], self._last[1]
            todo = todo[todo != texts.text_of_row[0]]
        for indices in pack_by_length(n_tokens[texts.first_row[todo]], self.batch_tokens):
            pack = todo[indices]
            lengths = n_tokens[texts.first_row[pack]]
            by_event = self._encode_pack(token_ids[texts.first_row[pack], : lengths.max()], lengths)
            if len(last_in_pack := np.flatnonzero(pack == texts.text_of_row[-1])):
                self._last = last, by_event[last_in_pack].clone()
            yield pack, by_event

    def _encode_pack(self, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """Return what each event adds to its text's mean.

        The shape is (texts, E + 1, H); the last of the E + 1 is the share of the tokens that belong
        to no event.
        """
        hidden, n_tokens = self.runtime.encode(ids, lengths), int(lengths.sum())
        added = (len(ids), n_tokens, ids.size - n_tokens)
        self.stats = EncodingStats(*np.add(self.stats, added).tolist())
        tokens = torch.from_numpy(ids.astype(np.int64)).to(self.device)
        n = torch.from_numpy(lengths.astype(np.int64)).to(self.device)
        with torch.inference_mode():
            ends = (tokens == self.separator_id).long()
            # A separator ends its event. Tokens before the first event have index -1: the last.
            event = (ends.cumsum(1) - ends - 1).clamp(max=self.max_events - 1)
            is_token = torch.arange(tokens.shape[1], device=self.device) < n[:, None]
            shares = hidden * (is_token / n[:, None]).unsqueeze(-1)
            sums = shares.new_zeros(len(ids), self.max_events + 1, hidden.shape[-1])
            row = torch.arange(len(ids), device=self.device)[:, None].expand_as(event)
            return sums.index_put_((row, event), shares, accumulate=True)

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
        """Predict from the numbers alone; events have no effects."""
        n_parts = -(-len(numeric) // ROWS_PER_NUMERIC_PASS) or 1
        for part in np.array_split(np.arange(len(numeric)), n_parts):
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
            outputs = task.to_predictions(logits[task.name].detach())
            out.outputs[task.name][rows] = outputs.cpu().numpy()

    def _allocate(self, n: int) -> Predictions:
        spec = self.model.spec
        shapes = {task.name: (n, len(task.classes)) if task.classes else n for task in spec.tasks}
        return Predictions(
            np.zeros((n, spec.joined_size), np.float32),
            {name: np.zeros(shape, np.float32) for name, shape in shapes.items()},
            {name: np.zeros((n, self.max_events), np.float32) for name in shapes},
        )
