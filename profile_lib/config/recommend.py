"""Declare the settings of recommendations."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Amount, Count, Decay, FolderName, Section, Share, SourceEntry

RankerTask = Annotated[str, Field(pattern="^(interacted|bought)$")]


class ListSettings(Section):
    """Choose which ranked items are listed."""

    k: Count
    candidates_per_source: Count
    max_ranked: Count
    hide_interacted: bool
    hide_bought: bool
    repeatable_sources: list[FolderName]
    relevance_weight: Share
    diversity_pool: Count


class ReasonFallbackSettings(Section):
    """Word reasons whose item or place is unknown."""

    item: str
    place: str


class RecommendSettings(Section):
    """Fit a recommender and list items."""

    name: FolderName
    seed: int
    weights: dict[str, float]
    max_steps: Count
    text_size: Count
    interest_ridge: Amount
    query_event_types: list[str]
    max_query_texts: Count
    contexts: list[Literal["channel", "device", "region"]]
    max_context_values: Count
    approximate_search_from: Count
    sources: dict[FolderName, SourceEntry | None]
    reasons: dict[FolderName, str]
    ranker_from: str
    horizon_hours: float = Field(gt=0)
    max_train_cutoffs: Count
    max_test_cutoffs: Count
    negatives_per_cutoff: Count
    min_clicks: Count
    max_click_weight: float = Field(ge=1)
    decay: Decay
    task_weights: dict[RankerTask, float] = Field(min_length=1)
    ranker: dict[str, Any]
    lists: ListSettings
    reason_fallbacks: ReasonFallbackSettings
    stock: str | None
    eligible: str | None
    boost: str | None

    @property
    def horizon(self) -> timedelta:
        """Return the time after a cutoff in which interactions are labels."""
        return timedelta(hours=self.horizon_hours)

    @property
    def chosen(self) -> dict[str, SourceEntry]:
        """Return the sources that are not null, by name."""
        return {name: source for name, source in self.sources.items() if source is not None}

    @model_validator(mode="after")
    def _check_source_names(self) -> "RecommendSettings":
        if not self.chosen:
            raise ValueError("sources: found none; wanted one or more")
        if unknown := sorted(set(self.lists.repeatable_sources) - set(self.chosen)):
            raise ValueError(
                f"lists.repeatable_sources: found {', '.join(unknown)}; wanted names of sources: "
                f"{', '.join(sorted(self.chosen))}"
            )
        return self
