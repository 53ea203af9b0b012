"""Count events by foreachBatch and a MERGE that adds a batch's counts to a table.

The trial starts and kills this module. It follows the upsert that the documentation of Delta shows,
but adds up counts, as its readers often do, and sets neither `txnAppId` nor `txnVersion`.
"""

from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.cli import main
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS


def run(store: Store, settings: Settings) -> None:
    """Count the events of each user in the table `counts` as they arrive."""
    counts = str(Path(store.root) / "counts")

    def add(batch: DataFrame, _: int) -> None:
        source = batch.groupBy("user_id").agg(F.count("*").alias("n_events"))
        merge = (
            DeltaTable.forPath(batch.sparkSession, counts)
            .alias("target")
            .merge(source.alias("source"), "target.user_id = source.user_id")
        )
        merge = merge.whenMatchedUpdate(set={"n_events": "target.n_events + source.n_events"})
        merge.whenNotMatchedInsertAll().execute()

    reader = store.spark.readStream.format("delta").option("skipChangeCommits", "true")
    writer = reader.load(store.path(EVENTS)).writeStream.foreachBatch(add)
    writer.option("checkpointLocation", settings.stream.checkpoint).start().awaitTermination()


if __name__ == "__main__":
    main("textbook", run, __doc__)
