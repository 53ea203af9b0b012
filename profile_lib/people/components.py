"""Find connected components of a graph in Spark.

The algorithm alternates large stars and small stars (Kiveris et al., Connected Components in
MapReduce and Beyond, 2014), which needs few rounds however long a chain is.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

MAX_ROUNDS = 60  # a chain of 2^30 ids needs fewer


def find_components(edges: DataFrame) -> DataFrame:
    """Return the component of each id of the edges (a, b): id, component.

    A component is named by its smallest id.
    """
    edges = edges.where("a != b").distinct().localCheckpoint()
    previous = None
    for _ in range(MAX_ROUNDS):
        edges = _small_star(_large_star(edges)).localCheckpoint()
        current = edges.agg(F.count("*"), F.bit_xor(F.xxhash64("a", "b"))).first()
        if current == previous:  # each id is linked to the smallest one of its component
            ids = edges.select(F.explode(F.array("a", "b")).alias("id"), F.col("b").alias("root"))
            return ids.groupBy("id").agg(F.min("root").alias("component"))
        previous = current
    raise RuntimeError(f"no components after {MAX_ROUNDS} rounds")


def _large_star(edges: DataFrame) -> DataFrame:
    """Link each id's larger neighbours to the smallest of the id and its neighbours."""
    ways = edges.unionByName(edges.select(F.col("b").alias("a"), F.col("a").alias("b")))
    smallest = F.least("a", F.min("b").over(Window.partitionBy("a")))
    linked = ways.withColumn("m", smallest).where("b > a")
    return linked.select(F.col("b").alias("a"), F.col("m").alias("b")).distinct()


def _small_star(edges: DataFrame) -> DataFrame:
    """Link each id and its smaller neighbours to the smallest of them."""
    linked = edges.withColumn("m", F.min("b").over(Window.partitionBy("a")))
    pair = F.explode(F.array(F.struct("a", "m"), F.struct(F.col("b").alias("a"), "m")))
    flat = linked.select(pair.alias("pair")).select("pair.a", F.col("pair.m").alias("b"))
    return flat.where("a != b").distinct()
