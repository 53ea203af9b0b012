"""Fork Spark's Python workers from a process that has imported what their tasks need.

Each new worker of a test would import pandas, torch and transformers again, which takes longer than
its task. Spark starts this module by `spark.python.daemon.module`.
"""

from pyspark.daemon import manager

import profile_lib.features.behaviour
import profile_lib.features.tokens
import profile_lib.inference.text_vectors
import profile_lib.inference.udf
import profile_lib.recommend.serving.listing  # noqa: F401
from profile_lib.spark.workers import freeze_loaded_modules

if __name__ == "__main__":
    freeze_loaded_modules()
    manager()
