"""Declare the settings of candidate sources."""

from typing import Annotated, Literal

from pydantic import Field

from profile_lib.config.section import Amount, Count, Decay, Section, Share

Similarity = Literal["cosine", "jaccard", "pearson"]


class ItemNeighboursSettings(Section):
    """Propose items that occur near each other in histories."""

    kind: Literal["item_neighbours"]
    similarity: Similarity
    window: Count
    gap_power: Amount
    backward_weight: Amount
    shrink: Amount
    max_neighbours: Count
    decay: Decay


class EaseSettings(Section):
    """Propose items by a linear model of all items, in closed form."""

    kind: Literal["ease"]
    l2: Amount
    max_neighbours: Count
    max_items: Count
    decay: Decay


class RidgeSettings(Section):
    """Propose items by a linear model from earlier to later interactions."""

    kind: Literal["ridge"]
    l2: Amount
    max_neighbours: Count
    max_items: Count
    decay: Decay
    future_decay: Decay


class UserNeighboursSettings(Section):
    """Propose items of similar users."""

    kind: Literal["user_neighbours"]
    similarity: Similarity
    max_users: Count
    n_neighbours: Count
    max_users_per_item: Count
    decay: Decay


class FactorsSettings(Section):
    """Propose items by alternating least squares."""

    kind: Literal["factors"]
    rank: Count
    iterations: Count
    alpha: Amount
    l2: Amount


class TextNeighboursSettings(Section):
    """Propose items with similar texts."""

    kind: Literal["text_neighbours"]
    max_neighbours: Count
    decay: Decay
    demand_power: Amount


class InterestSettings(Section):
    """Propose items near the profile's interest vector."""

    kind: Literal["interest"]


class DemandSettings(Section):
    """Propose items in demand in the user's context."""

    kind: Literal["demand"]
    rising: bool
    half_life_days: float = Field(gt=0)
    short_half_life_days: float = Field(gt=0)
    prior_demand: float = Field(gt=0)
    max_items_per_context: Count


class BuyAgainSettings(Section):
    """Propose items that users buy repeatedly."""

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
