"""Format a profile as a text card."""

from collections.abc import Mapping
from typing import Any

WIDTH = 78


def format_profile_card(profile: Mapping[str, Any]) -> str:
    """Format a row of user_profiles, given as nested dicts, as framed text."""
    lines = [
        f"Profile {profile['user_id'][:12]}…  {profile['segment']}  "
        f"(as of {profile['as_of_ts']:%Y-%m-%d %H:%M} UTC)",
        f"declared    {_pairs(profile['declared'])}",
        f"inferred    {_inferred(profile['inferred'])}",
        f"likes       {_interests(profile['categories'])}",
        f"brands      {_interests(profile['brands'])}",
        f"words       {_interests(profile['keywords'])}",
        f"value       {_value(profile)}",
        f"next        {_shares(profile['next_categories'])}",
    ]
    for task, probability in sorted(profile["propensities"].items()):
        lines.append(
            f"{task:<11} {probability:.1%}, because of {_reasons(profile['reasons'].get(task))}"
        )
    lines.append(f"lately      {_recent(profile['recent'])}")
    body = "\n".join(f"│ {line[: WIDTH - 2]}" for line in lines)
    return f"┌{'─' * WIDTH}\n{body}\n└{'─' * WIDTH}"


def _pairs(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(facts.items())) or "nothing"


def _inferred(predictions: Mapping[str, Mapping[str, Any]]) -> str:
    facts = [
        f"{name} {prediction['value']} ({prediction['confidence']:.0%})"
        for name, prediction in sorted(predictions.items())
    ]
    return ", ".join(facts) or "nothing"


def _interests(interests: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{i['name']} {i['weight']:.1f}" for i in interests[:5]) or "not known yet"


def _shares(interests: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{i['name']} {i['weight']:.0%}" for i in interests) or "not known yet"


def _value(profile: Mapping[str, Any]) -> str:
    orders = f"{profile['n_orders']} orders, {profile['order_value']:.2f} spent"
    value = f"{profile['n_sessions']} sessions, {orders}"
    level = profile["purchasing_power"]
    return value if level is None else f"{value}, price level {level:.2f}"


def _reasons(reasons: list[Mapping[str, Any]] | None) -> str:
    effects = [
        f"{r['event_type']} {r['text'] or ''} ({r['effect']:+.2f})".replace("  ", " ")
        for r in reasons or []
    ]
    return ", ".join(effects) or "the numbers alone"


def _recent(events: list[Mapping[str, Any]]) -> str:
    return " ← ".join(
        f"{e['event_type']} {e['title'] or e['text'] or ''}".strip() for e in events[:4]
    )
