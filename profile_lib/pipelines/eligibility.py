"""items, a stock list and the shop's rules → what may be listed now, and what scores are worth."""

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.recommend import RecommendSettings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.recommend.serving.recommender import Eligibility
from profile_lib.recommend.serving.requests import find_positions
from profile_lib.spark.sql_rules import check_rule, describe_rule_errors
from profile_lib.tables import ITEMS

STOCK, ELIGIBLE, BOOST = (f"recommend.{name}" for name in ("stock", "eligible", "boost"))


def apply_eligibility(store: Store, given: RecommendSettings, item_ids: pa.Array) -> Eligibility:
    """Of the items, in this order, what the rules say; one that the catalog lacks is not offered.

    Raises InputError where a rule names no column or cannot be computed, where the stock list has
    no item_id or an item twice, and where the boost of an item on offer is not above 0.
    """
    items = store.read(ITEMS)
    if given.stock is not None:
        items = items.join(_stock(store.spark, given.stock, items), "item_id", "left")
    for rule, where in ((given.eligible, ELIGIBLE), (given.boost, BOOST)):
        if rule is not None:
            check_rule(rule, items.columns, where, "items" if given.stock is None else "them both")
    is_eligible = (
        F.lit(True) if given.eligible is None else F.coalesce(F.expr(given.eligible), F.lit(False))
    )
    boost = F.lit(1.0) if given.boost is None else F.expr(given.boost)
    with describe_rule_errors(f"{given.eligible}, {given.boost}", f"{ELIGIBLE}, {BOOST}"):
        told = items.select(
            "item_id",
            is_eligible.cast("boolean").alias("is_eligible"),
            boost.cast("float").alias("boost"),
        ).toArrow()
    at = find_positions(item_ids, told["item_id"].combine_chunks())
    is_known = at >= 0
    offered = np.zeros(len(item_ids), bool)
    offered[is_known] = told["is_eligible"].to_numpy()[at[is_known]]
    boosts = np.ones(len(item_ids), np.float32)
    boosts[is_known] = told["boost"].to_numpy(zero_copy_only=False)[at[is_known]]
    boosts[~offered] = 1
    if not (boosts > 0).all():
        wrong = int(np.flatnonzero(~(boosts > 0))[0])
        raise InputError(
            f"{BOOST}: {given.boost!r} is {boosts[wrong]} for item {item_ids[wrong]}; wanted a "
            "number above 0 for each: say coalesce(…, 1) where it isn't known"
        )
    if not offered.any():
        raise InputError(
            f"{ELIGIBLE}: {given.eligible!r} holds for none of {len(item_ids):,} items; wanted some"
        )
    return Eligibility(offered, boosts)


def _stock(spark: SparkSession, path: str, items: DataFrame) -> DataFrame:
    """What a list says of items besides what the catalog says."""
    with explain_read_errors(STOCK, path):
        if path.removesuffix(".gz").endswith(".csv"):
            stock = spark.read.csv(path, header=True, inferSchema=True)
        else:
            stock = spark.read.format("parquet" if path.endswith(".parquet") else "delta").load(
                path
            )
    if "item_id" not in stock.columns:
        raise InputError(f"{STOCK}: {path} has {', '.join(stock.columns)}; wanted item_id")
    if both := sorted(set(stock.columns) & set(items.columns) - {"item_id"}):
        raise InputError(f"{STOCK}: {path} and items both have {', '.join(both)}; rename its own")
    stock = stock.withColumn("item_id", F.col("item_id").cast("string"))
    twice = stock.groupBy("item_id").count().where("count > 1").first()
    if twice is not None:
        raise InputError(f"{STOCK}: {path} has item {twice[0]} {twice[1]} times; wanted it once")
    return stock
