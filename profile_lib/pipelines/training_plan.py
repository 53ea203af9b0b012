"""Build the plan of a training from its settings."""

from dataclasses import replace

from profile_lib.config.settings import Settings
from profile_lib.training.plan import Augmentation, TrainingPlan, Tuning

PLAN_FIELDS = set(TrainingPlan.__dataclass_fields__) - {"tuning", "augmentation"}


def make_plan(settings: Settings) -> TrainingPlan:
    """Return the plan; a model that reads no text has no epochs with text."""
    training = settings.training
    plan = TrainingPlan(
        **training.model_dump(include=PLAN_FIELDS),
        tuning=Tuning(**training.tuning.model_dump()),
        augmentation=Augmentation(**training.augmentation.model_dump()),
    )
    return plan if settings.model.text else replace(plan, epochs=0)
