"""The page shows every figure, loads no other file, and reads the same in a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from profile_lib.events.quality_report.page import render_page
from profile_lib.events.quality_report.report import build_report
from tests.quality_world import FIRST, LAST, LIMITS, day, small_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page(HTMLParser):
    """The cells of each table, by its caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        if tag in ("caption", "td", "th"):
            self._open = tag

    def handle_data(self, data):
        if self._open == "caption":
            self._caption += data
        elif self._open:
            self._rows[-1][-1] += data

    def handle_endtag(self, tag):
        if tag == self._open:
            self._open = ""
        elif tag == "table":
            rows = [[" ".join(cell.split()) for cell in row] for row in self._rows]
            self.tables.setdefault(self._caption, rows)
            self._rows = []


@pytest.fixture(scope="module")
def text() -> str:
    return render_page(small_report())


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_problems_stand_first_with_their_level(page):
    assert next(iter(page.tables)) == "Problems"
    assert page.tables["Problems"] == [
        ["alarm", "2026-02-02", "shop", "2.50% of the rows: price:not_a_number (limit 2.00%)"],
        ["alarm", "2026-02-02", "shop",
         "category drifted, PSI 0.31: shirts 20.0% → 0.0%, cups 10.0% → 30.0%"],
        ["warning", "2026-01-26", "shop", "category drifted, PSI 0.12: shirts 20.0% → 30.0%"],
    ]  # fmt: skip


def test_each_source_shows_its_rows_by_status_and_their_sum(page):
    head, shop, app = page.tables["Sources on their latest day"]
    assert head == ["source", "day", "batches", "rows read", "kept", "rejected", "left out",
                    "duplicate", "known", "suppressed", "refused", "sum"]  # fmt: skip
    assert shop == ["shop", "2026-02-02", "1", "1,000", "880 88.00%", "60 6.00%", "30 3.00%",
                    "20 2.00%", "10 1.00%", "0", "0", "complete"]  # fmt: skip
    assert app == ["app", "2026-02-02", "1", "9,000", "9,000 100.00%", "0", "0", "0", "0", "0", "0",
                   "complete"]  # fmt: skip


def test_each_rule_shows_rows_share_limit_and_example(page):
    rules = [row[:5] for row in page.tables["Rules on 2026-02-02"][1:]]
    assert rules == [
        ["price:not_a_number", "25", "2.50%", "2.00%", "a: 9,9"],
        ["rejected, without robots and placeholders", "40", "4.00%", "5.00%", ""],
        ["user_id:missing", "35", "3.50%", "none", ""],
        ["bot:user_agent", "20", "2.00%", "none", ""],
        ["event_type:not_mapped", "5", "0.50%", "none", "<b>wish</b>"],
    ]


def test_the_trend_of_a_rule_is_drawn_and_described(page):
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert labels[0] == "from 1.00% to 2.50%"
    lines = [attributes["points"] for tag, attributes in page.tags if tag == "polyline"]
    assert lines[0] == "0,12 100,0"


def test_drift_shows_index_level_and_largest_moves(page):
    table = page.tables["Drift of the events of Monday 2026-02-02"]
    assert [row[:4] for row in table[1:]] == [
        ["category", "0.310", "alarm", "shirts 20.00% → 0.00%; cups 10.00% → 30.00%"],
        ["language", "0.040", "", "en 50.00% → 60.00%"],
    ]


def test_files_are_listed_by_day_and_status(page):
    assert page.tables["Files"][1:] == [
        ["2026-02-02", "copy", "2", "1.5"],
        ["2026-02-02", "read", "4", "4.0"],
        ["2026-02-01", "read", "1", "1.0"],
    ]


def test_a_day_that_does_not_add_up_is_marked(page):
    days = [day("shop", 0, 1000, {"kept": 990})]
    wrong = Page(render_page(build_report(FIRST, LAST, LIMITS, days, [], [])))
    assert wrong.tables["Days"][1][-1] == "10 rows without a status"
    assert ("b", {"class": "error"}) in wrong.tags
    assert ("b", {"class": "error"}) not in page.tags


def test_a_report_without_problems_says_so():
    days = [day("shop", 0, 10, {"kept": 10})]
    page = Page(render_page(build_report(FIRST, LAST, LIMITS, days, [], [])))
    assert page.tables["Problems"] == [["none"]]
    assert page.tables["Drift"] == [["no day has enough events and the same weekday before"]]


def test_the_page_loads_no_other_file_and_escapes_what_sources_say(page, text):
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"script", "link", "img", "iframe", "wish", "base", "object", "embed"}
    )
    assert not [a for _, a in page.tags if {"src", "href"} & set(a)]
    assert not re.search(r"url\(|@import|<b>wish", text)


@pytest.mark.slow
def test_a_browser_shows_the_same_tables(page, text, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser here; the standard library parsed the page")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
               f"--user-data-dir={tmp_path / 'user'}"]  # fmt: skip
    shown = subprocess.run(
        [*command, (tmp_path / "page.html").as_uri()], capture_output=True, check=True, timeout=120
    )
    assert Page(shown.stdout.decode()).tables == page.tables
