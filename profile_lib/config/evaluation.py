"""Declare the settings of the comparison of recommendation methods."""

from pydantic import Field, model_validator

from profile_lib.config.section import Count, FolderName, Section, SourceEntry


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
    methods: dict[FolderName, SourceEntry | None]
    report: str

    @property
    def chosen(self) -> dict[str, SourceEntry]:
        """Return the methods that are not null, by name."""
        return {name: method for name, method in self.methods.items() if method is not None}

    @model_validator(mode="after")
    def _is_consistent(self) -> "EvaluateSettings":
        if (self.validation_from is None) != (self.test_from is None):
            raise ValueError(
                f"validation_from is {self.validation_from} and test_from {self.test_from}; "
                "wanted days for both, or null for both"
            )
        if self.baseline_method not in self.chosen:
            raise ValueError(
                f"baseline_method: found {self.baseline_method!r}, "
                f"wanted one of methods: {', '.join(sorted(self.chosen))}"
            )
        return self
