"""Declare the settings of user histories."""

from profile_lib.config.section import Count, Section


class HistoriesSettings(Section):
    """Limit what is remembered of each user."""

    max_events: Count
    days: Count
    max_purchase_lines: Count
