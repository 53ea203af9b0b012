"""How items are recommended: where candidates come from, how they are ranked, what is listed."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Section
from profile_lib.config.uses import FolderName

Similarity = Literal["cosine", "jaccard", "pearson"]
Decay = Annotated[float, Field(gt=0, le=1)]  # what a step leaves of the weight of the one before
Count = Annotated[int, Field(gt=0)]
Task = Annotated[str, Field(pattern="^(interacted|bought)$")]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class ItemNeighboursSettings(Section):
    """Items that are met near each other."""

    kind: Literal["item_neighbours"]
    similarity: Similarity
    window: Count  # steps between two items, at most
    gap_power: Amount  # a pair `gap` steps apart counts gap ** -gap_power
    backward_weight: Amount  # what the later one says for the earlier one, of the other way round
    shrink: Amount
    max_neighbours: Count  # neighbours of an item
    decay: Decay


class EaseSettings(Section):
    """Items by a linear model of all items, in closed form: where they are few."""

    kind: Literal["ease"]
    l2: Amount
    max_neighbours: Count
    max_items: Count  # one task holds 4 bytes a pair
    decay: Decay


class RidgeSettings(Section):
    """The same from what a user met to what came after."""

    kind: Literal["ridge"]
    l2: Amount
    max_neighbours: Count
    max_items: Count
    decay: Decay
    future_decay: Decay


class UserNeighboursSettings(Section):
    """Items of users alike."""

    kind: Literal["user_neighbours"]
    similarity: Similarity
    max_users: Count  # who were there last, among whom neighbours are looked for
    n_neighbours: Count
    max_users_per_item: Count  # of those who met an item, so many are looked at who were there last
    decay: Decay


class FactorsSettings(Section):
    """Items by alternating least squares."""

    kind: Literal["factors"]
    rank: Count
    iterations: Count
    alpha: Amount
    l2: Amount


class TextNeighboursSettings(Section):
    """Items whose texts are alike."""

    kind: Literal["text_neighbours"]
    max_neighbours: Count
    decay: Decay
    demand_power: Amount  # a neighbour counts by how many users met it, to this power


class InterestSettings(Section):
    """Items near the profile's interest vector."""

    kind: Literal["interest"]


class DemandSettings(Section):
    """Items in demand in the user's context."""

    kind: Literal["demand"]
    rising: bool  # what is in demand of late more than before
    half_life_days: float = Field(gt=0)
    short_half_life_days: float = Field(gt=0)
    prior_demand: float = Field(gt=0)  # demand of a place from which it counts more than everywhere
    max_items_per_context: Count  # items of a place


class BuyAgainSettings(Section):
    """Items that are bought again and again."""

    kind: Literal["buy_again"]
    prior_share: Share
    prior_count: Amount


AnySource = Annotated[
    ItemNeighboursSettings
    | EaseSettings
    | RidgeSettings
    | UserNeighboursSettings
    | FactorsSettings
    | TextNeighboursSettings
    | InterestSettings
    | DemandSettings
    | BuyAgainSettings,
    Field(discriminator="kind"),
]


class ListSettings(Section):
    """What may be listed, and how."""

    k: Count
    candidates_per_source: Count  # items that each source is asked for
    max_ranked: Count  # of what they name: those of which they say most
    hide_interacted: bool
    hide_bought: bool
    repeatable_sources: list[FolderName]  # sources whose items are not hidden
    relevance_weight: Share  # 1: the best items; less: more kinds of them
    diversity_pool: Count  # of the best, among which kinds are looked for


class ReasonFallbackSettings(Section):
    """What stands in a reason where it isn't known."""

    item: str
    place: str


class RecommendSettings(Section):
    """What is recommended to whom, and how a recommender is fitted."""

    name: FolderName  # of the recommender's folder below paths.models, and in MLflow
    seed: int
    weights: dict[str, float]  # what one event of a kind says for its item; others say nothing
    max_steps: Count  # of a user, that sources are fitted to
    text_size: Count  # of the vectors of items' texts
    interest_ridge: Amount  # of the map from interest vectors to texts, times its pairs
    query_event_types: list[str]  # events whose text is what items were shown under
    max_query_texts: Count  # of these, the most frequent, whose vectors are kept
    contexts: list[Literal["channel", "device", "region"]]
    max_context_values: Count  # values of a context, the most frequent
    approximate_search_from: Count  # items; nearest vectors of more are searched for approximately
    sources: dict[FolderName, AnySource | None]  # null: not one of them, where a base file has it
    reasons: dict[
        FolderName, str
    ]  # of each source what is told of its items: {item} spoke, in {place}
    ranker_from: str  # yyyy-mm-dd: sources know what was before, the ranker learns from then on
    horizon_hours: float = Field(gt=0)  # after a cutoff, within which items met count
    max_train_cutoffs: Count  # that the ranker learns from, at most, and as many before ranker_from
    max_test_cutoffs: (
        Count  # of validation and of test, at most; all of their candidates are ranked
    )
    negatives_per_cutoff: (
        Count  # of a cutoff's candidates that were not met, about so many are learned from
    )
    min_clicks: Count  # on what was shown, from which on the ranker learns from it as well
    max_click_weight: float = Field(ge=1)  # of a click where few look
    decay: Decay  # of steps in the ranker's shares of categories and brands
    task_weights: dict[Task, float] = Field(min_length=1)  # tasks of the ranker
    ranker: dict[str, Any]  # settings of model and training that differ from the profiles' model
    lists: ListSettings
    reason_fallbacks: ReasonFallbackSettings
    stock: str | None  # a CSV, Parquet or Delta path: item_id, and columns that the rules name
    eligible: str | None  # Spark SQL over items and stock: what may be listed; null: everything
    boost: str | None  # Spark SQL over them: what a score is multiplied by; null: nothing

    @property
    def horizon(self) -> timedelta:
        """How long after a cutoff what is met counts."""
        return timedelta(hours=self.horizon_hours)

    @property
    def chosen(self) -> dict[str, AnySource]:
        """The sources that there are, by their names."""
        return {name: source for name, source in self.sources.items() if source is not None}

    @model_validator(mode="after")
    def _names_its_sources(self) -> "RecommendSettings":
        if not self.chosen:
            raise ValueError("sources: none; wanted one or more")
        if wrong := sorted(set(self.chosen) - set(self.reasons)):
            raise ValueError(f"reasons: none of {wrong}; wanted one of each source")
        if unknown := sorted(set(self.lists.repeatable_sources) - set(self.chosen)):
            raise ValueError(
                f"lists.repeatable_sources names {unknown}; wanted some of {sorted(self.chosen)}"
            )
        return self
