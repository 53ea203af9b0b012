"""Judge how well the values of a column fit a role, whatever its name."""

from collections.abc import Callable
from zoneinfo import available_timezones

from profile_lib.events.drafting.event_words import guess_event_type
from profile_lib.events.drafting.summaries import Summary
from profile_lib.events.drafting.times import DAY

MAX_WORDS = 200  # distinct words that event types have, at most
MAX_CATEGORIES = 1_000  # distinct devices, channels, countries, …
MAX_ID_CHARS = 100
DEVICES = r"(?i)(desktop|mobile|tablet|phone|smartphone|pc|app|ios|android|web|computer|h5|tv)"


def judge_values(role: str, summary: Summary) -> float:
    """Return how well the values fit a role, from 0 (they cannot) to 1."""
    return JUDGES[role](summary) if summary.n_filled else 0.0


def judge_time(summary: Summary) -> float:
    """Judge whether all values are times; days alone are less than that."""
    if summary.times is None:
        return 0.0
    return summary.times.share * (0.8 if summary.times.precision == DAY else 1.0)


def judge_id(summary: Summary) -> float:
    """Judge whether values are short, without spaces, no fractions, and not all the same."""
    if summary.mean_length > MAX_ID_CHARS or summary.share(r".*\s.*") > 0.5:
        return 0.0
    if summary.share(r"\d+[.,]\d*[1-9]") > 0 or (summary.times and not summary.times.unit):
        return 0.0
    return 0.5 if summary.n_distinct == 1 else 1.0


def judge_unique_id(summary: Summary) -> float:
    """Judge whether nearly all values are distinct ids."""
    return judge_id(summary) if summary.n_distinct >= 0.9 * summary.n_filled else 0.0


def judge_event_type(summary: Summary) -> float:
    """Judge whether values are a few words; known ones speak for it."""
    few = summary.n_distinct <= max(20, summary.n_filled / 10)
    if summary.n_distinct > MAX_WORDS or not few or summary.mean_length > 40 or summary.times:
        return 0.0
    return 0.5 + 0.5 * share_of_known_words(summary)


def share_of_known_words(summary: Summary) -> float:
    """Return the share of values that are words for a known event type."""
    known = [
        word for word in summary.counts.head(MAX_WORDS).index if guess_event_type(word).certainty
    ]
    return float(summary.counts[known].sum() / max(summary.n_filled, 1))


def judge_number(summary: Summary) -> float:
    """Judge whether values are numbers that are not negative."""
    if summary.times and summary.times.unit:
        return 0.0
    if summary.share_numbers < 0.8 and not summary.is_money_text:
        return 0.0
    return 1.0 if (summary.numbers >= 0).mean() > 0.95 else 0.7


def judge_whole(summary: Summary) -> float:
    """Judge whether values are whole numbers."""
    return summary.share_whole if summary.share_whole > 0.8 else 0.0


def judge_quantity(summary: Summary) -> float:
    """Judge whether values are mostly small numbers."""
    if summary.share_numbers < 0.8:
        return 0.0
    return 1.0 if summary.numbers.abs().median() <= 100 else 0.3


def judge_rating(summary: Summary) -> float:
    """Judge whether values are numbers from 1 to 5."""
    if summary.share_numbers < 0.8:
        return 0.0
    return 1.0 if summary.numbers.between(1, 5).mean() > 0.95 else 0.3


def judge_text(summary: Summary) -> float:
    """Judge whether values are words, and several."""
    return summary.share(r"[^\n]*[^\W\d_][\s\S]*") if summary.n_distinct > 1 else 0.5


def judge_label(summary: Summary) -> float:
    """Judge whether values repeat, as those of a category do."""
    return 0.0 if summary.times or summary.n_distinct > 0.9 * max(summary.n_filled, 20) else 1.0


def judge_few(summary: Summary) -> float:
    """Judge whether values are a limited number of short ones."""
    is_few = summary.n_distinct <= MAX_CATEGORIES and summary.mean_length < 60
    return 0.0 if summary.times or not is_few else 1.0


def judge_device(summary: Summary) -> float:
    """Judge whether values are kinds of devices."""
    return judge_few(summary) * (1.0 if summary.share(DEVICES) > 0.5 else 0.7)


def judge_user_agent(summary: Summary) -> float:
    """Judge whether values are user agents."""
    return summary.share(r".*(Mozilla|okhttp|Dalvik|CFNetwork|bot)\b.*")


def judge_time_zone(summary: Summary) -> float:
    """Judge whether values are IANA time zones."""
    return float(summary.filled.isin(available_timezones()).mean())


def judge_currency(summary: Summary) -> float:
    """Judge whether values are currency codes."""
    return summary.share("[A-Za-z]{3}")


JUDGES: dict[str, Callable[[Summary], float]] = {
    **dict.fromkeys(("event_ts", "ingest_ts"), judge_time),
    **dict.fromkeys(("user_id", "item_id", "session_hint", "order_id"), judge_id),
    **dict.fromkeys(("query", "text", "title"), judge_text),
    **dict.fromkeys(("category", "brand"), judge_label),
    **dict.fromkeys(("channel", "region", "referrer", "system", "browser"), judge_few),
    **dict.fromkeys(("price", "dwell_seconds"), judge_number),
    **dict.fromkeys(("position", "sequence"), judge_whole),
    "id": judge_unique_id,
    "event_type": judge_event_type,
    "quantity": judge_quantity,
    "rating": judge_rating,
    "device": judge_device,
    "user_agent": judge_user_agent,
    "time_zone": judge_time_zone,
    "currency": judge_currency,
}
