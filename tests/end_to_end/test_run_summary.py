"""A run ends with a summary."""

import pytest

from profile_lib.pipelines.run_all import log_summary

pytestmark = pytest.mark.slow


def test_the_summary_lists_tables_measures_three_profiles_and_the_report(notebook_shop, caplog):
    log_summary(*notebook_shop)
    text = "\n".join(caplog.messages)
    assert "user_profiles" in text
    assert "gradient_boosting" in text
    assert text.count("Profile ") == 3
    assert caplog.messages[-1].startswith("Report: file:///")
    assert caplog.messages[-1].endswith("/models/profiles/report.html")
