"""Predict rows of token ids and numbers, in row order, without Spark."""

from typing import NamedTuple

import numpy as np
import torch

from profile_lib.errors import InputError
from profile_lib.inference.distinct_texts import DistinctTexts
from profile_lib.inference.event_encoder import EncodingStats, EventEncoder
from profile_lib.inference.runtime import Runtime
from profile_lib.inference.runtime_choice import choose_runtime
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel

ROWS_PER_HEADS_PASS = 1024  # rows with texts whose heads are computed together
ROWS_PER_NUMERIC_PASS = 8192  # the same for a model without text


class Predictions(NamedTuple):
    """Predictions for n rows.

    J is the size of the interest vector, E the largest number of events per text.
    """

    vectors: np.ndarray  # (n, J) float32
    outputs: dict[str, np.ndarray]  # task → probabilities (n,) or (n, classes), or values (n,)
    effects: dict[str, np.ndarray]  # task → (n, E) float32: what each event added to the score


class Predictor:
    """A model in evaluation mode, whose encoder `runtime` runs.

    A pass of the encoder holds at most `batch_tokens` padded tokens; `max_events` is E.
    """

    def __init__(
        self,
        model: ProfileModel,
        runtime: Runtime,
        separator_id: int,
        batch_tokens: int,
        max_events: int,
    ) -> None:
        self.device, self.max_events = runtime.device, max_events
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.encoder = EventEncoder(runtime, separator_id, batch_tokens, max_events)

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
        loaded = runtime_class.load(folder, model.to(device).eval(), device, threads)
        return cls(model, loaded, spec.separator_id, batch_tokens, max_events)

    @property
    def stats(self) -> EncodingStats:
        """The amount of text encoded so far."""
        return self.encoder.stats

    def predict(
        self, token_ids: np.ndarray, n_tokens: np.ndarray, numeric: np.ndarray
    ) -> Predictions:
        """Predict rows of `token_ids` (n, T), `n_tokens` (n,) and `numeric` (n, F + K).

        A task's score is the logit of a binary task, or of a multiclass task's most probable
        class. An event's effect on it is the score's gradient with respect to the pooled text,
        times what the event's tokens add to the pool: Grad-CAM (Selvaraju et al. 2017) on the
        encoder's last layer. Effects need no additional pass through the encoder. Raises InputError
        if `numeric` has another number of columns than the model reads.
        """
        out = self._allocate(len(n_tokens))
        if not len(n_tokens):
            return out
        self._check_width(numeric)
        if not self.model.has_text:
            self._predict_without_text(numeric, out)
            return out
        texts = DistinctTexts(token_ids)
        for pack, event_sums in self.encoder.encode(token_ids, n_tokens, texts):
            rows = np.concatenate([texts.rows_of_text[i] for i in pack])
            rows_per_text = [len(texts.rows_of_text[i]) for i in pack]
            text_of_row = np.repeat(np.arange(len(pack)), rows_per_text)
            n_parts = -(-len(rows) // ROWS_PER_HEADS_PASS)
            for part in np.array_split(np.arange(len(rows)), n_parts):
                part_rows = rows[part]
                self._predict_rows(
                    event_sums, text_of_row[part], numeric[part_rows], part_rows, out
                )
        return out

    def pool(self, token_ids: np.ndarray, n_tokens: np.ndarray) -> np.ndarray:
        """Return the mean last hidden states (n, H), float32, of texts (n, T) without numbers.

        Raises InputError if the model reads no text.
        """
        bert = self.model.spec.bert
        if bert is None:
            raise InputError(
                "the model reads no text, so it has no vectors of texts; wanted one trained with "
                "model.text=true"
            )
        texts = DistinctTexts(token_ids)
        vectors = np.zeros((len(n_tokens), bert["hidden_size"]), np.float32)
        for pack, event_sums in self.encoder.encode(token_ids, n_tokens, texts):
            pooled = event_sums.sum(1).cpu().numpy()
            for i, text in enumerate(pack):
                vectors[texts.rows_of_text[text]] = pooled[i]
        return vectors

    def _check_width(self, numeric: np.ndarray) -> None:
        """Raise InputError unless a row holds the model's numbers and then its category codes."""
        n_numbers, n_codes = len(self.model.spec.numeric), len(self.model.spec.categories)
        if numeric.shape[1] != n_numbers + n_codes:
            raise InputError(
                f"numeric: {numeric.shape[1]} values per row, the model reads {n_numbers} numbers "
                f"and {n_codes} category codes; build them with the features it was trained on"
            )

    def _predict_rows(
        self,
        event_sums: torch.Tensor,
        text: np.ndarray,
        numeric: np.ndarray,
        rows: np.ndarray,
        out: Predictions,
    ) -> None:
        """Write the predictions of `rows`, (r,), to `out`.

        `text`, (r,), is the index of each row's text in `event_sums`, (p, E + 1, H).
        """
        events = event_sums[torch.from_numpy(text).to(self.device)].clone()
        pooled = events.sum(1).requires_grad_(True)
        numbers = torch.from_numpy(numeric).float().to(self.device)
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
            numbers = torch.from_numpy(numeric[part]).float().to(self.device)
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
