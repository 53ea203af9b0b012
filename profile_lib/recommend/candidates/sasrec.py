"""Propose items by a small transformer (SASRec, Kang & McAuley 2018)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from scipy import sparse

from profile_lib.arrays.types import Floats
from profile_lib.config.section import Amount, Count, Section, Share
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.packing import State
from profile_lib.recommend.candidates.shared.top_k import top_k_dense
from profile_lib.recommend.candidates.source import CandidateSource, Need, SourceData
from profile_lib.recommend.data.requests import Requests

if TYPE_CHECKING:
    from profile_lib.recommend.candidates.shared.sasrec_model import SASRec

SHAPE_FIELDS = {"max_steps", "width", "layers", "heads", "dropout"}


class SasrecSettings(Section):
    """The sizes of the transformer, and how it is trained."""

    max_steps: Count  # a user's last steps that are read
    width: Count
    layers: Count
    heads: Count
    dropout: Share
    epochs: Count
    patience: Count  # epochs without a better NDCG on the validation items
    batch_steps: Count  # steps per batch
    learning_rate: Amount
    n_seeds: Count  # only the first seeds are compared, as training takes long


@candidate_source("sasrec", SasrecSettings)
@dataclass(frozen=True)
class Sasrec(CandidateSource):
    """Items that the transformer `model` predicts as the next one.

    `epochs`: the epochs it was trained for. `validation_ndcg`: its NDCG on the validation items. No
    single item explains a candidate, because the model reads all of them in their order.
    """

    model: "SASRec"
    epochs: int
    validation_ndcg: float

    needs = frozenset({Need.VALIDATION})
    is_seeded = True

    @classmethod
    def fit(cls, data: SourceData, settings: SasrecSettings) -> "Sasrec":
        """Train on the histories before the held-out items, in this process."""
        import torch

        from profile_lib.recommend.candidates.shared import sasrec_training as training

        assert data.validation is not None
        folder = str(data.validation.folder / "sasrec")
        training.write_histories(data.validation.requests, folder, n_files=1)
        shape = training.SasrecShape(data.n_items, **settings.model_dump(include=SHAPE_FIELDS))
        rules = settings.model_dump(exclude=SHAPE_FIELDS | {"n_seeds"})
        plan = training.SasrecPlan(seed=data.seed, k=data.validation.k, **rules)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        histories = training.read_histories(folder)
        model, curve = training.train_sasrec(histories, shape, plan, device)
        return cls(model, len(curve), max(curve))

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the logits of the next item; a user without steps gets none."""
        return top_k_dense(self.model.score_all(requests.histories), k)

    def score_all(self, requests: Requests, n_items: int) -> Floats:
        """Score all items without sorting them."""
        return self.model.score_all(requests.histories)

    @property
    def choices(self) -> dict[str, Any]:
        """The number of epochs, and the NDCG of the best one."""
        return {"validation_ndcg": self.validation_ndcg, "epochs": self.epochs}

    @classmethod
    def seeds_to_compare(cls, settings: SasrecSettings, seeds: Sequence[int]) -> Sequence[int]:
        """Return the first `n_seeds` seeds."""
        return seeds[: settings.n_seeds]

    def to_state(self) -> State:
        """Return the model's weights and shape."""
        arrays = {name: w.detach().cpu().numpy() for name, w in self.model.state_dict().items()}
        return State(arrays, {"shape": asdict(self.model.shape), **self.choices})

    @classmethod
    def from_state(cls, state: State) -> "Sasrec":
        """Build the model from its shape, and load its weights."""
        import torch

        from profile_lib.recommend.candidates.shared.sasrec_model import SASRec, SasrecShape

        model = SASRec(SasrecShape(**state.parameters["shape"]))
        model.load_state_dict({name: torch.tensor(w) for name, w in state.arrays.items()})
        epochs, validation_ndcg = (state.parameters[n] for n in ("epochs", "validation_ndcg"))
        return cls(model.eval(), epochs, validation_ndcg)
