"""A job that runs twice leaves the same table."""

import pytest
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from profile_lib.pipelines import build_behaviour, build_examples
from profile_lib.tables import BEHAVIOUR, EXAMPLES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("table", "job"),
    [(BEHAVIOUR, build_behaviour), (EXAMPLES, build_examples)],
    ids=["behaviour", "examples"],
)
def test_a_job_that_runs_again_leaves_the_same_table(notebook_shop, table, job):
    store, settings = notebook_shop
    last_day = store.read(BEHAVIOUR).agg(F.to_date(F.max("cutoff_ts"))).first()[0]
    before = store.read(table).localCheckpoint()
    for day in (None, last_day):
        job.run(store, settings, day)
        # Sums in another order differ in their last digits.
        assertDataFrameEqual(store.read(table), before, rtol=1e-5, atol=1e-6)
