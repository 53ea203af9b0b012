"""Check that files are listed, checked and read in the columns of the mapping."""

import gzip
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.files.inspection import list_files
from profile_lib.events.input_plan import InputPlan, plan_events
from profile_lib.events.readers import INDEX, check_files, read_input
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from tests.events.source_files import COLUMNS, CSV_LINES, write_mapping

CSV = {"events": {"format": "csv"}}
JSON = {"events": {"format": "jsonl"}}
DELTA = {"events": {"format": "delta"}}
PARQUET = {"events": {"format": "parquet"}}


def make_plan(spark, folder: Path, inputs: dict = CSV, **changes: object) -> InputPlan:
    return plan_events(spark, write_mapping(folder, inputs=inputs, **changes), "events")


def read(spark, plan: InputPlan, path: object, *columns: str) -> list[tuple]:
    with session_conf(spark, LENIENT_CONF):
        rows = read_input(spark, plan, str(path)).select(*columns).collect()
    return sorted(tuple(row) for row in rows)


def test_all_files_of_a_folder_are_listed_with_size_and_time_except_hidden_ones(spark, tmp_path):
    for name in ("b.csv", "dt=2024/a b.csv", "_temporary/c.csv", ".d.csv", "_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("12345")
    listed = list_files(spark, str(tmp_path)).orderBy("path").collect()
    assert [(row["path"], row["n_bytes"]) for row in listed] == [
        (f"file:{tmp_path}/b.csv", 5),
        (f"file:{tmp_path}/dt=2024/a b.csv", 5),
    ]
    modified = (tmp_path / "b.csv").stat().st_mtime
    assert abs(listed[0]["modified_ts"].timestamp() - modified) < 1
    assert list_files(spark, f"{tmp_path}/*.csv").count() == 1


def test_files_of_any_name_encoding_and_compression_are_read_as_one_input(spark, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    names = ["a b.csv", "a%20b#?.csv", "größe.csv", "c.txt"]
    for number, name in enumerate(names):
        (folder / name).write_text(CSV_LINES.replace("ann", f"ann{number}"))
    (folder / "packed").write_bytes(gzip.compress(CSV_LINES.replace("ann", "ann4").encode()))
    (folder / "wide").write_text(CSV_LINES.replace("ann", "ann5"), encoding="utf-16")
    (folder / "ordered").write_text("WHAT,who,extra,when\nlook,ann6,x,now\n")
    (folder / "empty").write_text("")
    found = read(spark, make_plan(spark, tmp_path), folder, "who", "what")
    expected = [(f"ann{n}", "look") for n in range(7)] + [("bob", "buy")] * 6
    assert found == sorted(expected)


def test_an_unfolded_array_gives_a_row_per_element_and_one_for_none(spark, tmp_path):
    unfold = {"column": "basket.items", "alias": "item"}
    inputs = {"events": {"format": "jsonl", "unfold": unfold}}
    columns = COLUMNS | {"item_id": "item.sku"}
    (tmp_path / "events.json").write_text(
        '{"who": "ann", "basket": {"items": [{"sku": "a"}, {"sku": "b"}]}}\n'
        '{"who": "bob", "basket": {"items": []}}\n'
        '{"who": "cat", "when": "t", "what": "x"}\n'
    )
    plan = make_plan(spark, tmp_path, inputs, columns=columns)
    assert read(spark, plan, tmp_path / "events.json", "who", INDEX, "item.sku") == [
        ("ann", 0, "a"),
        ("ann", 1, "b"),
        ("bob", None, None),
        ("cat", None, None),
    ]


def test_a_text_column_of_csv_that_is_used_as_json_is_parsed(spark, tmp_path):
    columns = COLUMNS | {"item_id": "items[0].sku", "price": "params.price"}
    types = {"events": {"format": "csv", "column_types": {"params": "map<string,double>"}}}
    (tmp_path / "events.csv").write_text(
        'who,when,what,items,params\nann,t,x,"[{""sku"": ""a""}]","{""price"": 2.5}"\n'
        "bob,t,x,torn,\n"
    )
    plan = make_plan(spark, tmp_path, types, columns=columns)
    select = (F.expr("items[0].sku"), F.expr("params.price"))
    assert read(spark, plan, tmp_path / "events.csv", "who", *select) == [
        ("ann", "a", 2.5),
        ("bob", None, None),
    ]


def test_the_condition_of_an_input_is_applied_to_lookups(spark, tmp_path):
    (tmp_path / "events.csv").write_text(CSV_LINES)
    inputs = {"events": {"format": "csv", "where": "what <> 'buy'"}}
    found = read(spark, make_plan(spark, tmp_path, inputs), tmp_path / "events.csv", "who")
    assert found == [("ann",)]


def test_keys_of_json_and_names_of_csv_may_begin_with_underscores(spark, tmp_path):
    names = ("_index", "_row", "_file", "_position", "_id")
    columns = COLUMNS | {"item_id": "_row", "title": "concat(_file, _position)", "query": "_id"}
    values = ", ".join(f'"{name}": "{name}"' for name in names)
    (tmp_path / "events.json").write_text(f'{{"who": "ann", "when": "", "what": "", {values}}}\n')
    (tmp_path / "events.csv").write_text(
        f"who,when,what,{','.join(names)}\nann,,,{','.join(names)}\n"
    )
    for name, spec in (("events.json", "jsonl"), ("events.csv", "csv")):
        inputs = {"events": {"format": spec, "where": "_index = '_index'"}}
        plan = make_plan(spark, tmp_path, inputs, columns=columns)
        assert read(spark, plan, tmp_path / name, "who", *names) == [("ann", *names)]


UNREADABLE = {
    "missing.csv": (CSV, None, "nothing at {path}; wanted a file, folder or glob"),
    "half.csv.gz": (
        CSV,
        gzip.compress(CSV_LINES.encode() * 1_000)[:-20],
        "file:{path} cannot be read: the file ends too early: it was cut off while it was written "
        "or copied; copy it again",
    ),
    "events.csv": (
        PARQUET,
        CSV_LINES.encode(),
        "file:{path} cannot be read: the content is not Parquet, or it was cut off",
    ),
    "a:b": (
        CSV,
        None,
        "{path} cannot be read: a file has a colon in its name, which is not read; rename the file",
    ),
    "table": (DELTA, None, "{path} cannot be read: it holds no Delta table"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_named_in_one_sentence(spark, tmp_path, name):
    inputs, content, sentence = UNREADABLE[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    if name == "a:b":
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a:b.csv").write_text(CSV_LINES)
        path = tmp_path / "folder" / "*.csv"
    with pytest.raises(InputError) as error:
        read(spark, make_plan(spark, tmp_path, inputs), path, "who")
    assert str(error.value) == f"shop.columns: {sentence.format(path=path)}"


def check(spark, plan: InputPlan, *files: tuple[str, list[str]]) -> list[str]:
    rows = [(path, names, None) for path, names in files]
    frame = spark.createDataFrame(rows, "path string, names array<string>, problem string")
    return check_files(plan, frame)


def refuse(spark, plan: InputPlan, *files: tuple[str, list[str]]) -> str:
    with pytest.raises(InputError) as error:
        check(spark, plan, *files)
    return str(error.value)


NAMES = ["when", "WHO", "what"]


def test_files_with_all_columns_in_any_case_and_order_pass(spark, tmp_path):
    assert (
        check(spark, make_plan(spark, tmp_path), ("1", NAMES), ("2", NAMES[::-1]), ("3", [])) == []
    )
    assert check(spark, make_plan(spark, tmp_path)) == []


def test_a_header_in_another_dialect_says_which_delimiter_to_set(spark, tmp_path):
    assert refuse(spark, make_plan(spark, tmp_path), ("day1.csv", ["who;when;what"])) == (
        "shop.columns.user_id: day1.csv has no column who; its header has no ',' but ';': set "
        "inputs.events.csv.delimiter: ';'"
    )


def test_a_first_line_that_may_be_data_is_not_shown(spark, tmp_path):
    files = ("day1.csv", NAMES), ("day2.csv", ["ann", "2024-03-01", "view"])
    assert refuse(spark, make_plan(spark, tmp_path), *files) == (
        "shop.columns.user_id: day2.csv has no column who; none of the mapping's columns is in "
        "its header, so its first line may be a row of data: give the names in inputs.events.csv "
        "with header: false, or add the header"
    )


def test_a_file_without_a_required_column_is_refused_with_its_header(spark, tmp_path):
    columns = [f"column_{n}" for n in range(60)]
    sentence = refuse(spark, make_plan(spark, tmp_path), ("day1.csv", ["who", "when", *columns]))
    assert sentence.startswith(
        "shop.columns.event_type: day1.csv has no column what; it has: who, when, column_0, "
    )
    assert sentence.endswith("column_47, …")


def test_a_column_that_no_file_has_is_refused_and_one_that_some_lack_is_null_there(spark, tmp_path):
    plan = make_plan(spark, tmp_path, columns=COLUMNS | {"price": "coalesce(cost, 0)"})
    assert refuse(spark, plan, ("1", [*NAMES, "costs"]), ("2", NAMES)) == (
        "shop.columns.price: no column cost; 1 has: WHO, costs, what, when; did you mean costs?"
    )
    assert check(spark, plan, ("1", [*NAMES, "cost"]), ("2", NAMES)) == [
        "shop.columns: 2 has no column cost, which is null there"
    ]


def test_a_condition_on_a_missing_column_is_refused_with_its_key(spark, tmp_path):
    plan = make_plan(spark, tmp_path, {"events": {"format": "csv", "where": "is_bot = 'no'"}})
    assert refuse(spark, plan, ("day1.csv", NAMES)) == (
        "shop.inputs.events.where: no column is_bot; day1.csv has: WHO, what, when"
    )


def test_a_key_may_be_absent_from_files_of_json_but_not_from_all_if_it_is_required(spark, tmp_path):
    plan = make_plan(spark, tmp_path, JSON, columns=COLUMNS | {"price": "cost"})
    assert check(spark, plan, ("1", ["who", "cost"]), ("2", ["when", "what"])) == []
    assert check(spark, plan, ("1", [*NAMES, "costs"])) == [
        "shop.columns.price: no column cost; 1 has: WHO, costs, what, when; did you mean costs?"
    ]
    assert refuse(spark, plan, ("1", ["who", "at"]), ("2", ["what"])) == (
        "shop.columns.event_ts: 1 has no column when; it has: at, what, who"
    )


CONDITIONS = {
    "is_bto = 'no'": "is_bto",
    "NOT is_bto = 'no' OR what = 'x'": "is_bto",
    "coalesce(is_bto, is_rob) = 'no'": "is_bto",
    "what IS NULL AND lower(is_bto) = 'no'": "is_bto",
    "param('is_bot') = 'no'": "params",
    "basket.items[0].kindd = 'book'": "basket.items.kindd",
    "exists(basket.items, i -> i.kindd = 'book')": "basket.items.kindd",
    "item.kindd = 'book'": "basket.items.kindd",
}
KEYS = [*NAMES, "is_bot", "basket", "items", "kind"]
UNFOLDED = {
    "format": "jsonl",
    "params": {"column": "params"},
    "unfold": {"column": "basket.items", "alias": "item"},
}


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_condition_on_a_key_that_no_file_of_json_has_is_refused(spark, tmp_path, where):
    plan = make_plan(spark, tmp_path, {"events": UNFOLDED | {"where": where}})
    name, hints = CONDITIONS[where], {"is_bto": "is_bot", "basket.items.kindd": "kind"}
    hint = f"; did you mean {hints[name]}?" if name in hints else ""
    assert refuse(spark, plan, ("1", KEYS), ("2", NAMES)) == (
        f"shop.inputs.events.where: no column {name}, so that it would be null in all rows; 1 "
        "has: WHO, basket, is_bot, items, kind, what, when; correct the name, or give rows without "
        f"it a value, as coalesce({name}, '') does{hint}"
    )


HANDLED = [
    "is_bto IS NULL", "is_bto IS NOT NULL", "coalesce(is_bto, 'no') = 'no'", "nvl(is_bto, 1) = 1",
    "ifnull(basket.of, 'x') = 'x'", "is_bto <=> 'no'", "NOT is_bto <=> 'no'", "isnull(is_bto)",
    "is_bto IS NULL OR is_bto = 'no'", "coalesce(is_bto, what) = 'x'",
    "CASE WHEN is_bto = 'yes' THEN false ELSE true END",
]  # fmt: skip


@pytest.mark.parametrize("where", HANDLED)
def test_a_condition_that_handles_the_absence_of_a_key_gives_a_warning(spark, tmp_path, where):
    plan = make_plan(spark, tmp_path, {"events": {"format": "jsonl", "where": where}})
    name, hint = ("basket.of", "") if "basket" in where else ("is_bto", "; did you mean is_bot?")
    assert check(spark, plan, ("1", KEYS)) == [
        f"shop.inputs.events.where: no column {name}; 1 has: WHO, basket, is_bot, items, kind, "
        f"what, when{hint}"
    ]


def test_a_nested_key_that_no_file_of_json_has_is_named_like_one_of_a_row(spark, tmp_path):
    columns = COLUMNS | {
        "price": "product.prise",
        "item_id": "get(product.parts, 0).Sku",
        "title": "brand.name.short",
        "order_id": "param('order')",
    }
    inputs = {"events": {"format": "jsonl", "params": {"column": "params"}}}
    plan = make_plan(spark, tmp_path, inputs, columns=columns)
    keys = [*NAMES, "product", "parts", "params"]
    has = "1 has: WHO, parts, price, product, sku, what, when"
    assert check(spark, plan, ("1", [*NAMES, "product", "price"]), ("2", ["parts", "sku"])) == [
        f"shop.columns.price: no column product.prise; {has}; did you mean price?",
        f"shop.columns.item_id: no column product.parts.Sku; {has}; did you mean sku?",
        f"shop.columns.title: no column brand; {has}",
        f"shop.columns.order_id: no column params; {has}; did you mean parts?",
    ]
    keys += ["prise", "Sku", "brand", "name", "short"]
    assert check(spark, plan, ("1", keys)) == []


def test_the_problems_of_some_files_are_joined(spark, tmp_path):
    rows = [(str(n), [], f"{n} cannot be read: x") for n in range(5)]
    frame = spark.createDataFrame(rows, "path string, names array<string>, problem string")
    with pytest.raises(
        InputError, match=r"^shop.columns: \d cannot be read: x(; \d cannot be read: x){2}$"
    ):
        check_files(make_plan(spark, tmp_path), frame)
