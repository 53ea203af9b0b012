"""Files of a benchmark in, histories and items' vectors out."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import Floats
from profile_lib.errors import InputError
from profile_lib.recommend.data.histories import number_items


def read_interactions(spark: SparkSession, path: str) -> tuple[DataFrame, pa.Array]:
    """Histories (user_id and STEPS) of the lines of a file, `user item item …`, oldest first, and
    the items' ids by their numbers. A step a second, of weight 1.

    Raises InputError where there is no file, or a line without an item or with a user of before.
    """
    if not Path(path).is_file():
        raise InputError(f"evaluate.interactions: nothing at {path}; wanted a file of lines")
    words = F.split(F.trim("value"), r"\s+")
    lines = spark.read.text(path).select(
        words[0].alias("user_id"), F.slice(words, 2, F.size(words)).alias("ids")
    )
    short = lines.where(F.size("ids") == 0).first()
    if short is not None:
        raise InputError(f"evaluate.interactions: {path}: user {short[0]!r} has no item")
    twice = lines.groupBy("user_id").count().where("count > 1").first()
    if twice is not None:
        raise InputError(f"evaluate.interactions: {path}: user {twice[0]} has {twice[1]} lines")
    met = lines.select("user_id", F.posexplode("ids").alias("place", "item_id"))
    numbers = number_items(met)
    step = F.struct("place", "item")
    steps = (
        met.join(F.broadcast(numbers), "item_id")
        .groupBy("user_id")
        .agg(F.array_sort(F.collect_list(step)).alias("steps"))
    )
    histories = steps.select(
        "user_id",
        F.col("steps.item").alias("items"),
        F.transform("steps", lambda _: F.lit(1.0).cast("float")).alias("weights"),
        F.col("steps.place").cast("array<bigint>").alias("seconds"),
        F.transform("steps", lambda _: F.lit(False)).alias("is_bought"),
    )
    return histories, numbers.toArrow()["item_id"].combine_chunks()


def read_attribute_vectors(path: str, item_ids: pa.Array) -> Floats:
    """(n_items, number of attributes) of length 1: of each attribute of an item how rare it is,
    log(items / items that have it); zeros where an item has none.

    Raises InputError where there is no file.
    """
    if not Path(path).is_file():
        raise InputError(f"evaluate.attributes: nothing at {path}; wanted JSON, item → attributes")
    told = json.loads(Path(path).read_text(encoding="utf-8"))
    lists = pa.array([told.get(item) for item in item_ids.to_pylist()], pa.list_(pa.int64()))
    item, attribute = lists.value_parent_indices().to_numpy(), lists.flatten().to_numpy()
    names, column = np.unique(attribute, return_inverse=True)
    has = sparse.csr_array((np.ones(len(item)), (item, column)), shape=(len(lists), len(names)))
    has.data[:] = 1
    rarity = np.log(len(lists) / np.maximum(np.asarray(has.sum(axis=0)).ravel(), 1))
    vectors = has.toarray().astype(np.float32) * rarity.astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)
