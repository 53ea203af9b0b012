"""How recommendations are measured: on what, by which protocol, and ways of recommending beside
each other."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from profile_lib.config.recommend import (
    Amount,
    Count,
    EaseSettings,
    FactorsSettings,
    ItemNeighboursSettings,
    RidgeSettings,
    Share,
    TextNeighboursSettings,
    UserNeighboursSettings,
)
from profile_lib.config.section import Section
from profile_lib.config.uses import FolderName


class PopularitySettings(Section):
    """What most users met."""

    kind: Literal["popularity"]


class SasrecSettings(Section):
    """A causal transformer over the items met."""

    kind: Literal["sasrec"]
    max_steps: Count  # of a user's last steps are read
    width: Count
    layers: Count
    heads: Count
    dropout: Share
    epochs: Count
    patience: Count  # epochs without a better NDCG on the validation items
    batch_steps: Count
    learning_rate: Amount
    n_seeds: Count  # of the seeds the first so many: a fit takes long


class FusionSettings(Section):
    """The weighted sum of other ways, by the weights that find most on the validation items."""

    kind: Literal["fused"]
    methods: list[FolderName] = Field(min_length=1)
    candidates_per_source: Count  # items that each is asked for
    n_draws: Count  # of weights, besides each way alone


MethodSettings = Annotated[
    PopularitySettings
    | ItemNeighboursSettings
    | EaseSettings
    | RidgeSettings
    | UserNeighboursSettings
    | FactorsSettings
    | TextNeighboursSettings
    | SasrecSettings
    | FusionSettings,
    Field(discriminator="kind"),
]


class EvaluateSettings(Section):
    """What is measured."""

    interactions: str | None  # lines of user and items, oldest first; null: the table events
    attributes: str | None  # JSON, item → its attributes, in place of texts; null: items' texts
    protocol: Literal["leave_one_out", "time"]
    validation_from: str | None  # yyyy-mm-dd, of `time`
    test_from: str | None
    max_steps: Count  # of a user
    k: Count  # places of a list
    seeds: list[int] = Field(min_length=1)  # of what is drawn
    n_resamples: Count  # of users, for intervals
    baseline_method: FolderName  # the way whose lead is told
    methods: dict[
        FolderName, MethodSettings | None
    ]  # null: not one of them, where a base file has it
    report: str  # a folder

    @property
    def chosen(self) -> dict[str, MethodSettings]:
        """The ways that there are, by their names."""
        return {name: way for name, way in self.methods.items() if way is not None}

    @model_validator(mode="after")
    def _is_consistent(self) -> "EvaluateSettings":
        if self.protocol == "time" and not (self.validation_from and self.test_from):
            raise ValueError("protocol time wants validation_from and test_from")
        fused = [way.methods for way in self.chosen.values() if isinstance(way, FusionSettings)]
        named = {self.baseline_method, *(name for of in fused for name in of)}
        if unknown := sorted(named - set(self.chosen)):
            raise ValueError(f"methods: none of {unknown}; wanted {sorted(self.chosen)}")
        return self
