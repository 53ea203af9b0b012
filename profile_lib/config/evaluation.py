"""Declare the settings of the comparison of recommendation methods."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from profile_lib.config.candidates import (
    EaseSettings,
    FactorsSettings,
    ItemNeighboursSettings,
    RidgeSettings,
    TextNeighboursSettings,
    UserNeighboursSettings,
)
from profile_lib.config.section import Amount, Count, FolderName, Section, Share


class PopularitySettings(Section):
    """Rank items by their number of users."""

    kind: Literal["popularity"]


class SasrecSettings(Section):
    """Fit a causal transformer over the items of a history."""

    kind: Literal["sasrec"]
    max_steps: Count
    width: Count
    layers: Count
    heads: Count
    dropout: Share
    epochs: Count
    patience: Count
    batch_steps: Count
    learning_rate: Amount
    n_seeds: Count


class FusionSettings(Section):
    """Sum other methods by the weights that are best on validation."""

    kind: Literal["fused"]
    methods: list[FolderName] = Field(min_length=1)
    candidates_per_source: Count
    n_draws: Count


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
    """Compare recommendation methods by held-out interactions."""

    interactions: str | None
    attributes: str | None
    validation_from: str | None
    test_from: str | None
    max_steps: Count
    k: Count
    seeds: list[int] = Field(min_length=1)
    n_resamples: Count
    baseline_method: FolderName
    methods: dict[FolderName, MethodSettings | None]
    report: str

    @property
    def chosen(self) -> dict[str, MethodSettings]:
        """Return the methods that are not null, by name."""
        return {name: method for name, method in self.methods.items() if method is not None}

    @model_validator(mode="after")
    def _is_consistent(self) -> "EvaluateSettings":
        if (self.validation_from is None) != (self.test_from is None):
            raise ValueError("wanted validation_from and test_from, or neither")
        used = {self.baseline_method}
        for method in self.chosen.values():
            used |= set(method.methods) if isinstance(method, FusionSettings) else set()
        if unknown := sorted(used - set(self.chosen)):
            raise ValueError(f"methods: none of {unknown}; wanted {sorted(self.chosen)}")
        return self
