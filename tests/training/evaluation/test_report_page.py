"""The page of a report loads no other file and shows every metric and curve."""

import re
from html.parser import HTMLParser

import pytest

from profile_lib.training.evaluation.report_page import render_report_page

MEASURES = {"roc_auc": 0.9, "pr_auc": None}
REPORT = {
    "data": {"tables": {"examples": 4}},
    "tasks": {
        "buys": {
            "kind": "binary", "n": 1200, "positives": 30,
            "model": MEASURES, "gradient_boosting": {"roc_auc": 0.8, "pr_auc": 0.4},
            "intervals": {
                "model": {"roc_auc": [0.85, 0.95], "pr_auc": None},
                "model less gradient_boosting": {"roc_auc": [-0.01, 0.2], "pr_auc": None},
            },
            "segments": {"device": {"<b>phone</b>": {"n": 7, "positives": 2, "model": MEASURES,
                                                     "intervals": {}}}},
            "curves": {"model": {"roc": [[0.0, 0.5], [1.0, 1.0]],
                                 "precision_recall": [[0.5, 1.0], [1.0, 0.5]]}},
            "calibration": [{"n": 600, "probability": 0.1, "share": 0.05}],
        },
    },
    "ablation": {"both": {"buys": {"roc_auc": 0.9}}, "text only": {"buys": {"roc_auc": 0.7}}},
}  # fmt: skip
EPOCHS = [{"validation": {"loss": 0.5}}, {"validation": {"loss": 0.4}}]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.start_tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.start_tags.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def page() -> str:
    return render_report_page("shop", REPORT, [0.7, 0.6, 0.5], EPOCHS)


def test_every_measure_interval_segment_and_curve_is_on_the_page(page):
    for text in (
        "examples version 4", "1,200 test rows, 30 positive", "0.9000", "0.8500 to 0.9500",
        "-0.0100 to 0.2000", "&lt;b&gt;phone&lt;/b&gt;", "text only", "0.7000",
    ):  # fmt: skip
        assert text in page
    assert page.count("<svg") == 5  # ROC, precision-recall, calibration, loss, validation


def test_the_page_loads_no_other_file(page):
    tags = Tags()
    tags.feed(page)
    links = [a for tag, a in tags.start_tags if {"src", "href"} & set(a) and tag != "use"]
    assert links == []
    assert not {tag for tag, _ in tags.start_tags} & {"script", "link", "img", "iframe"}
    assert not re.search(r"url\(http|@import", page)
