"""Declare the settings of segments and audiences."""

from pydantic import Field, model_validator

from profile_lib.config.section import FolderName, Section


class LookalikeSettings(Section):
    """Find the users most similar to those of a list."""

    seeds: str
    n_users: int = Field(gt=0)


class SegmentSettings(Section):
    """Group users."""

    seed: int
    min_clusters: int = Field(gt=1)
    max_clusters: int
    sample_users: int = Field(gt=0)
    silhouette_users: int = Field(gt=0)
    min_silhouette_gain: float = Field(ge=0)
    min_jaccard: float = Field(gt=0, le=1)
    prior_users: float = Field(gt=0)
    n_terms: int = Field(gt=0)
    audiences: dict[FolderName, str]
    lookalikes: dict[FolderName, LookalikeSettings]
    export_folder: str | None

    @model_validator(mode="after")
    def _is_consistent(self) -> "SegmentSettings":
        if self.max_clusters < self.min_clusters:
            raise ValueError(
                f"max_clusters is {self.max_clusters}; wanted min_clusters ({self.min_clusters}) "
                "or more"
            )
        if both := sorted(self.audiences.keys() & self.lookalikes.keys()):
            raise ValueError(
                f"audiences and lookalikes both have {', '.join(both)}; wanted different names"
            )
        return self
