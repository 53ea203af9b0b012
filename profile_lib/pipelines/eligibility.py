"""Apply the shop's rules for eligibility and boosts to the catalog."""

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.recommend import RecommendSettings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.recommend.data.arrow_columns import find_positions
from profile_lib.recommend.serving.recommender import Eligibility
from profile_lib.spark.sql_rules import check_rule, describe_rule_errors
from profile_lib.tables import ITEMS

STOCK, ELIGIBLE, BOOST = (f"recommend.{name}" for name in ("stock", "eligible", "boost"))


def apply_eligibility(store: Store, config: RecommendSettings, item_ids: pa.Array) -> Eligibility:
    """Return the eligibility and the boost of each of `item_ids`, in their order.

    An item that is missing in the catalog, or for which the rule is null, is not eligible. Raises
    InputError if a rule is not a safe expression of the columns or cannot be computed, if the stock
    list cannot be read, has no item_id or has an item twice, if the boost of an eligible item is
    not above 0, and if no item is eligible.
    """
    evaluated = _evaluate_rules(store, config)
    position = find_positions(item_ids, evaluated["item_id"].combine_chunks())
    is_known = position >= 0
    is_eligible = np.zeros(len(item_ids), bool)
    is_eligible[is_known] = evaluated["is_eligible"].to_numpy()[position[is_known]]
    boost = np.ones(len(item_ids), np.float32)
    boost[is_known] = evaluated["boost"].to_numpy(zero_copy_only=False)[position[is_known]]
    boost[~is_eligible] = 1
    if not (boost > 0).all():
        invalid = int(np.flatnonzero(~(boost > 0))[0])
        raise InputError(
            f"{BOOST}: {config.boost!r} is {boost[invalid]} for item {item_ids[invalid]}; wanted a "
            "number above 0 for each eligible item: write coalesce(…, 1) if it may be unknown"
        )
    if not is_eligible.any():
        raise InputError(
            f"{ELIGIBLE}: {config.eligible!r} holds for none of {len(item_ids):,} items; wanted "
            "some"
        )
    return Eligibility(is_eligible, boost)


def _evaluate_rules(store: Store, config: RecommendSettings) -> pa.Table:
    """Return (item_id, is_eligible, boost) of the catalog's items."""
    items = store.read(ITEMS)
    if config.stock is not None:
        items = items.join(_read_stock(store.spark, config.stock, items), "item_id", "left")
    tables = "items" if config.stock is None else "items and the stock list"
    for rule, where in ((config.eligible, ELIGIBLE), (config.boost, BOOST)):
        if rule is not None:
            check_rule(rule, items.columns, where, tables)
    is_eligible = (
        F.lit(True)
        if config.eligible is None
        else F.coalesce(F.expr(config.eligible), F.lit(False))
    )
    boost = F.lit(1.0) if config.boost is None else F.expr(config.boost)
    with describe_rule_errors(f"{config.eligible}, {config.boost}", f"{ELIGIBLE}, {BOOST}"):
        return items.select(
            "item_id",
            is_eligible.cast("boolean").alias("is_eligible"),
            boost.cast("float").alias("boost"),
        ).toArrow()


def _read_stock(spark: SparkSession, path: str, items: DataFrame) -> DataFrame:
    """Read the stock list, whose columns rules may name.

    It is in CSV, Parquet or Delta. Raises InputError if it cannot be read, lacks item_id, has an
    item twice, or shares another column with `items`.
    """
    with explain_read_errors(STOCK, path):
        if path.removesuffix(".gz").endswith(".csv"):
            stock = spark.read.csv(path, header=True, inferSchema=True)
        else:
            stock = spark.read.format("parquet" if path.endswith(".parquet") else "delta").load(
                path
            )
    if "item_id" not in stock.columns:
        raise InputError(f"{STOCK}: {path} has {', '.join(stock.columns)}; wanted item_id")
    if shared := sorted(set(stock.columns) & set(items.columns) - {"item_id"}):
        raise InputError(
            f"{STOCK}: {path} and items both have {', '.join(shared)}; rename the columns of {path}"
        )
    stock = stock.withColumn("item_id", F.col("item_id").cast("string"))
    repeated = stock.groupBy("item_id").count().where("count > 1").first()
    if repeated is not None:
        raise InputError(
            f"{STOCK}: {path} has item {repeated[0]} {repeated[1]} times; wanted it once"
        )
    return stock
