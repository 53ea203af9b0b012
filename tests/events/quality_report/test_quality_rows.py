"""The report judges days, rules and drifts by their limits, the gravest first."""

from datetime import timedelta

from profile_lib.events.quality import Count
from profile_lib.events.quality_report.report import Problem, RuleShare, build_report
from tests.quality_world import FIRST, LAST, LIMITS, day, drift, small_report


def test_sources_with_problems_come_first_and_then_the_largest():
    assert [source.latest.source for source in small_report().sources] == ["shop", "app"]
    days = [day("small", 0, 1, {"kept": 1}), day("large", 0, 2, {"kept": 2})]
    report = build_report(FIRST, LAST, LIMITS, days, [], [])
    assert [source.latest.source for source in report.sources] == ["large", "small"]
    assert report.problems == ()


def test_rules_above_their_limit_come_first_with_their_share_on_each_day():
    rules = small_report().sources[0].rules
    assert rules[0] == RuleShare(
        "price:not_a_number", 25, 0.025, 0.02, "a: 9,9", trend=(0.01, 0.025)
    )
    assert [(rule.name, rule.share) for rule in rules[1:]] == [
        ("rejected, without robots and placeholders", 0.04),  # 60 less the 20 of robots
        ("user_id:missing", 0.035),
        ("bot:user_agent", 0.02),
        ("event_type:not_mapped", 0.005),
    ]
    assert rules[1].limit == 0.05
    assert not rules[1].is_above_limit
    assert rules[2].limit is None


def test_every_problem_is_named_by_its_level():
    assert small_report().problems == (
        Problem("alarm", "shop", LAST, "2.50% of the rows: price:not_a_number (limit 2.00%)"),
        Problem(
            "alarm",
            "shop",
            LAST,
            "category drifted, PSI 0.31: shirts 20.0% → 0.0%, cups 10.0% → 30.0%",
        ),
        Problem(
            "warning",
            "shop",
            LAST - timedelta(days=7),
            "category drifted, PSI 0.12: shirts 20.0% → 30.0%",
        ),
    )


def test_rejected_rows_above_the_limit_are_an_alarm_without_those_of_robots():
    robots = [Count("user_agent", "bot", 60, None)]
    statuses = {"kept": 890, "rejected": 110}
    report = build_report(FIRST, LAST, LIMITS, [day("shop", 0, 1000, statuses, robots)], [], [])
    assert report.problems == ()  # 50 of 1,000 are as many as the limit allows
    report = build_report(FIRST, LAST, LIMITS, [day("shop", 0, 1000, statuses)], [], [])
    assert [p.text for p in report.problems] == [
        "11.00% of the rows: rejected, without robots and placeholders (limit 5.00%)"
    ]


def test_rows_without_a_status_on_any_day_are_an_error():
    days = [day("shop", 0, 5, {"kept": 5}), day("shop", 3, 100, {"kept": 90, "known": 9})]
    report = build_report(FIRST, LAST, LIMITS, days, [], [])
    text = "100 rows read, but 99 have a status"
    assert report.problems == (Problem("error", "shop", LAST - timedelta(days=3), text),)


def test_a_source_that_stopped_is_a_warning():
    days = [day("shop", 0, 5, {"kept": 5}), day("app", 3, 5, {"kept": 5})]
    report = build_report(FIRST, LAST, LIMITS, days, [], [])
    text = "no batch since, 3 days before the latest one of all sources"
    assert report.problems == (Problem("warning", "app", LAST - timedelta(days=3), text),)


def test_the_latest_drifts_are_those_of_the_latest_day_that_was_compared():
    drifts = [
        drift("shop", 1, "language", 0.01),
        drift("shop", 1, "category", 0.2),
        drift("shop", 8, "category", 0.3),
        drift("app", 0, "category", 0.4),
    ]
    days = [day("shop", 0, 5, {"kept": 5})]
    (source,) = build_report(FIRST, LAST, LIMITS, days, [], drifts).sources
    assert [(d.field, d.psi) for d in source.latest_drifts] == [
        ("category", 0.2),
        ("language", 0.01),
    ]
    assert source.psi_trend("category") == (0.3, 0.2)
