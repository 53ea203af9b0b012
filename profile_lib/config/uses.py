"""What profiles are used for: segments, and what became of what was shown."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from profile_lib.config.section import Section


class ExperimentSettings(Section):
    """An experiment that is read out: its arms, and what would matter."""

    control: str  # the arm that others are compared with
    shares: dict[str, float]  # arm → share of the users
    ctr_effect: float = Field(gt=0)  # the least difference of interest
    revenue_effect: float = Field(gt=0)  # the same a user, in the shop's currency

    @model_validator(mode="after")
    def _check_shares(self) -> "ExperimentSettings":
        if self.control not in self.shares or len(self.shares) < 2:
            raise ValueError(f"wanted shares of {self.control!r}, the control, and of other arms")
        if min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError("wanted shares above 0 that add up to 1")
        return self


class FeedbackSettings(Section):
    """How what was shown is joined to what came of it, and judged."""

    window_hours: float = Field(gt=0)  # after it was shown; what comes later is not its outcome
    click_types: list[Literal["click", "view"]]  # events that mean it was clicked
    dimensions: list[str]  # columns of feedback by which measures are told apart
    confidence_level: float = Field(gt=0, lt=1)  # confidence of the measures' intervals
    alpha: float = Field(gt=0, lt=1)  # of an experiment's false findings, over all looks
    mismatch_alpha: float = Field(gt=0, lt=1)  # of false alarms that arms get the wrong users
    min_users: int = Field(gt=1)  # an arm; with fewer nothing is found
    experiments: dict[str, ExperimentSettings]  # by name

    @property
    def window(self) -> timedelta:
        """How long after it was shown an item's outcomes count."""
        return timedelta(hours=self.window_hours)


FolderName = Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # it becomes that of a folder and a file


class LookalikeSettings(Section):
    """Users most like those of a list."""

    seeds: str  # a CSV file with a column user_id, of pseudonyms
    n_users: int = Field(gt=0)  # how many are wanted, seeds not among them


class SegmentSettings(Section):
    """How users are put together."""

    seed: int  # of the sample, the first centroids and the folds
    min_clusters: int = Field(gt=1)
    max_clusters: int
    sample_users: int = Field(gt=0)  # that clusters and look-alikes are fitted to, at most
    silhouette_users: int = Field(gt=0)  # of these, at most; each is compared with each
    min_silhouette_gain: float = Field(
        ge=0
    )  # silhouette that another number of clusters must be ahead by
    min_jaccard: float = Field(gt=0, le=1)  # Jaccard of members from which a cluster keeps its id
    prior_users: float = Field(gt=0)  # like all others, added to each cluster for its description
    n_terms: int = Field(gt=0)  # of categories, brands and keywords each
    audiences: dict[
        FolderName, str
    ]  # Spark SQL over user_profiles and user_segments: whom it takes
    lookalikes: dict[FolderName, LookalikeSettings]
    export_folder: (
        str | None
    )  # a folder for a CSV file of pseudonyms an audience; null: the table alone

    @model_validator(mode="after")
    def _is_consistent(self) -> "SegmentSettings":
        if self.max_clusters < self.min_clusters:
            raise ValueError("wanted max_clusters of min_clusters or more")
        if both := sorted(self.audiences.keys() & self.lookalikes.keys()):
            raise ValueError(f"audiences and lookalikes share {both}; wanted other names")
        return self
