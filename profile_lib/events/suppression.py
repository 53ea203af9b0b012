"""Recognise rows of people who were erased, by the tokens of the suppress list.

A token is a keyed hash of a pseudonym, so that a new version of the key renews tokens as it renews
pseudonyms. A raw id has one token per version of the key: that of its pseudonym at the time.
"""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.events.identity import Pseudonyms
from profile_lib.events.keyed_ids import RAW_PERSON_IDS, id_space
from profile_lib.events.quality import SUPPRESSED
from profile_lib.tables.people import CARRIERS, USER

ID_SPACE = "id_space"


def build_tokens(users: DataFrame, pseudonyms: Pseudonyms) -> DataFrame:
    """Return the tokens of the column `user_id`, pseudonyms under the last version."""
    token = pseudonyms.hash_pseudonym(SUPPRESSED, F.col("user_id")).alias("token")
    return pseudonyms.join_key(users.select("user_id")).select(token).distinct()


def select_suppressed_ids(
    raw_ids: DataFrame, space: str, pseudonyms: Pseudonyms, tokens: DataFrame
) -> DataFrame:
    """Select the distinct rows of `raw_ids` whose token is listed.

    Its first column holds the ids. A column `id_space` names the space of each, if they are of
    several kinds; `space` is that of logins, and `tokens` has the column `token`.
    """
    names = raw_ids.columns
    kind = F.lit(USER)
    if ID_SPACE in names:
        for other in CARRIERS:
            is_other = F.col(ID_SPACE) == id_space(space, other)
            kind = F.when(is_other, other).otherwise(kind)
    distinct = pseudonyms.join_key(raw_ids.where(F.col(names[0]).isNotNull()).distinct())
    hashes = pseudonyms.hash_pseudonyms(SUPPRESSED, kind, F.lit(space), F.col(names[0]))
    candidates = distinct.select(*names, F.explode(hashes).alias("token"))
    return candidates.join(tokens, "token", "left_semi").select(*names).distinct()


def list_raw_ids(judged: DataFrame, space: str) -> DataFrame:
    """Return the raw ids in judged rows: of users, devices and browsers.

    If there are several kinds, `id_space` names the space of each.
    """
    if ID_SPACE not in judged.columns:
        return judged.select("raw_id")
    carriers = [
        judged.select(F.col(RAW_PERSON_IDS[kind]), F.lit(id_space(space, kind)))
        for kind in CARRIERS
    ]
    return reduce(DataFrame.union, carriers, judged.select("raw_id", ID_SPACE))


def mark_suppressed(judged: DataFrame, suppressed: DataFrame, space: str) -> DataFrame:
    """Give the rows of the `suppressed` ids the status SUPPRESSED, and no rules.

    In the rows of others, the ids of devices and browsers that are among them become null. `space`
    is that of logins.
    """
    marks = suppressed.withColumn("is_suppressed", F.lit(True))
    no_rules = F.array().cast("array<string>")
    values = {"status": F.lit(SUPPRESSED), "reasons": no_rules, "issues": no_rules}
    marked = {
        name: F.when(F.col("is_suppressed"), value).otherwise(F.col(name))
        for name, value in values.items()
    }
    rows = judged.join(marks, suppressed.columns, "left").withColumns(marked).drop("is_suppressed")
    if ID_SPACE not in judged.columns:
        return rows
    for kind, name in CARRIERS.items():
        raw = RAW_PERSON_IDS[kind]
        of_kind = marks.where(F.col(ID_SPACE) == id_space(space, kind))
        of_kind = of_kind.select(F.col("raw_id").alias(raw), "is_suppressed")
        kept = F.when(F.col("is_suppressed").isNull(), F.col(name))
        rows = rows.join(of_kind, raw, "left").withColumn(name, kept).drop("is_suppressed")
    return rows
