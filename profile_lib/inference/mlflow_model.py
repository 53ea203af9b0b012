"""Serve a model's folder through MLflow, one column per task.

MLflow runs this file as it is, so that no object of ours is ever pickled.
"""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.pyfunc import PythonModel

from profile_lib.inference.predictor import Predictor
from profile_lib.model.manifest import check_model

BATCH_TOKENS = 8192
MAX_EVENTS = 1  # no reasons are served, so that events need not be distinguished


class MlflowPredictor(PythonModel):
    """Adapt the predictor to MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load the logged model."""
        folder = context.artifacts["folder"]
        self.predictor = Predictor.load(
            folder,
            check_model(folder).model_version,
            runtime="auto",
            device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
            threads=torch.get_num_threads(),
            batch_tokens=BATCH_TOKENS,
            max_events=MAX_EVENTS,
        )

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return each task's outputs, one row per row of `model_input`."""
        predictions = self.predictor.predict(
            np.stack(model_input["token_ids"].to_list()).astype(np.int32),
            model_input["n_tokens"].to_numpy(np.int64),
            np.stack(model_input["numeric"].to_list()).astype(np.float32),
        )
        outputs = predictions.outputs.items()
        return pd.DataFrame({name: list(values.astype(float)) for name, values in outputs})


mlflow.models.set_model(MlflowPredictor())
