"""Serve a model's folder through MLflow, one column per task.

MLflow stores and runs this file as source code, so that no Python object is pickled.
"""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.pyfunc import PythonModel

from profile_lib.inference.predictor import Predictor
from profile_lib.model.manifest import check_model

BATCH_TOKENS = 8192  # tokens of one forward pass, padding included
MAX_EVENTS = 1  # reasons are not served, so events need not be distinguished


class MlflowPredictor(PythonModel):
    """A predictor with MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load the model from MLflow's artifact `folder`. Raises InputError if it was changed."""
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
        """Return the outputs of each task as a column.

        A column holds a number per row, or a list with a number per class.
        `model_input` has the columns token_ids (lists of one length, padded), n_tokens, and numeric
        (lists of the numbers and category codes).
        """
        predictions = self.predictor.predict(
            np.stack(model_input["token_ids"].to_list()).astype(np.int32),
            model_input["n_tokens"].to_numpy(np.int64),
            np.stack(model_input["numeric"].to_list()).astype(np.float32),
        )
        outputs = predictions.outputs.items()
        return pd.DataFrame({name: list(values.astype(float)) for name, values in outputs})


mlflow.models.set_model(MlflowPredictor())
