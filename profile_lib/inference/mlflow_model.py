"""A model's folder as MLflow serves it: a frame of tokens and numbers in, a column a task out.

MLflow runs this file as it stands, so that no object of ours is ever pickled.
"""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.pyfunc import PythonModel

from profile_lib.inference.predictor import Predictor
from profile_lib.model.manifest import check_model

BATCH_TOKENS, MAX_EVENTS = 8192, 1  # no reasons are served, so events need no telling apart


class MlflowPredictor(PythonModel):
    """The predictor behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load the model that was logged."""
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
        """Each task's answers, a row a row."""
        found = self.predictor.predict(
            np.stack(model_input["token_ids"].to_list()).astype(np.int32),
            model_input["n_tokens"].to_numpy(np.int64),
            np.stack(model_input["numeric"].to_list()).astype(np.float32),
        )
        return pd.DataFrame({name: list(x.astype(float)) for name, x in found.outputs.items()})


mlflow.models.set_model(MlflowPredictor())
