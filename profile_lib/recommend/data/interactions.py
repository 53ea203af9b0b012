"""Read benchmark files of interactions and item attributes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.types import Floats
from profile_lib.errors import InputError
from profile_lib.recommend.data.histories import number_items
from profile_lib.recommend.data.vectors import normalise_rows


def read_interactions(spark: SparkSession, path: str) -> tuple[DataFrame, pa.Array]:
    """Read histories (user_id and STEPS), and item ids by item number.

    A line of the file is `user item item …`, oldest first; its steps are a second apart, each of
    weight 1. Raises InputError if the file is missing, or a line has no item or repeats a user.
    """
    if not Path(path).is_file():
        raise InputError(
            f"evaluate.interactions: no file at {path}; wanted a text file with a line per user: "
            "the user and items, oldest first"
        )
    words = F.split(F.trim("value"), r"\s+")
    lines = spark.read.text(path).select(
        words[0].alias("user_id"), F.slice(words, 2, F.size(words)).alias("ids")
    )
    without_item = lines.where(F.size("ids") == 0).first()
    if without_item is not None:
        raise InputError(
            f"evaluate.interactions: {path}: user {without_item[0]!r} has no item; wanted one or "
            "more: remove the line"
        )
    repeated = lines.groupBy("user_id").count().where("count > 1").first()
    if repeated is not None:
        raise InputError(
            f"evaluate.interactions: {path}: user {repeated[0]} has {repeated[1]} lines; wanted "
            "one: join them"
        )
    interactions = lines.select("user_id", F.posexplode("ids").alias("position", "item_id"))
    numbers = number_items(interactions)
    steps = (
        interactions.join(F.broadcast(numbers), "item_id")
        .groupBy("user_id")
        .agg(F.array_sort(F.collect_list(F.struct("position", "item"))).alias("steps"))
    )
    histories = steps.select(
        "user_id",
        F.col("steps.item").alias("items"),
        F.transform("steps", lambda _: F.lit(1.0).cast("float")).alias("weights"),
        F.col("steps.position").cast("array<bigint>").alias("seconds"),
        F.transform("steps", lambda _: F.lit(False)).alias("is_bought"),
    )
    return histories, numbers.toArrow()["item_id"].combine_chunks()


def read_attribute_vectors(path: str, item_ids: pa.Array) -> Floats:
    """Read vectors of length 1 from the attributes of items, (n_items, number of attributes).

    The file is JSON, with the list of attribute numbers of each item id. An attribute's value in
    the vector of an item that has it is its rarity, log(items / items that have it); an item
    without attributes has zeros. Raises InputError if the file is missing.
    """
    if not Path(path).is_file():
        raise InputError(
            f"evaluate.attributes: no file at {path}; wanted a JSON file of item → attributes"
        )
    attributes = json.loads(Path(path).read_text(encoding="utf-8"))
    lists = pa.array([attributes.get(item) for item in item_ids.to_pylist()], pa.list_(pa.int64()))
    item, attribute = lists.value_parent_indices().to_numpy(), lists.flatten().to_numpy()
    names, column = np.unique(attribute, return_inverse=True)
    cells = (np.ones(len(item)), (item, column))
    has_attribute = sparse.csr_array(cells, shape=(len(lists), len(names)))
    has_attribute.data[:] = 1  # an attribute may be listed twice
    n_items = np.maximum(np.asarray(has_attribute.sum(axis=0)).ravel(), 1)
    rarity = np.log(len(lists) / n_items)
    return normalise_rows(has_attribute.toarray().astype(np.float32) * rarity.astype(np.float32))
