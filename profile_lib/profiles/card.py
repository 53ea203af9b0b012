"""One profile in, a card that a person can read out."""

from collections.abc import Mapping
from typing import Any

WIDTH = 78


def format_profile_card(profile: Mapping[str, Any]) -> str:
    """The profile as a few lines of text; `profile` is one row of user_profiles as a dict."""
    p = profile
    lines = [
        f"Profile {p['user_id'][:12]}…  {p['segment']}  (as of {p['as_of_ts']:%Y-%m-%d %H:%M} UTC)",
        f"declared    {_pairs(p['declared'])}",
        f"inferred    {_inferred(p['inferred'])}",
        f"likes       {_interests(p['categories'])}",
        f"brands      {_interests(p['brands'])}",
        f"words       {_interests(p['keywords'])}",
        f"value       {_value(p)}",
        f"next        {_shares(p['next_categories'])}",
    ]
    for task, probability in sorted(p["propensities"].items()):
        lines.append(f"{task:<11} {probability:.1%}, because of {_reasons(p['reasons'].get(task))}")
    lines.append(f"lately      {_recent(p['recent'])}")
    body = "\n".join(f"│ {line[: WIDTH - 2]}" for line in lines)
    return f"┌{'─' * WIDTH}\n{body}\n└{'─' * WIDTH}"


def _pairs(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(facts.items())) or "nothing"


def _inferred(guesses: Mapping[str, Mapping[str, Any]]) -> str:
    told = [f"{n} {g['value']} ({g['confidence']:.0%})" for n, g in sorted(guesses.items())]
    return ", ".join(told) or "nothing"


def _interests(interests: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{i['name']} {i['weight']:.1f}" for i in interests[:5]) or "not known yet"


def _shares(interests: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{i['name']} {i['weight']:.0%}" for i in interests) or "not known yet"


def _value(p: Mapping[str, Any]) -> str:
    told = f"{p['n_sessions']} sessions, {p['n_orders']} orders, {p['order_value']:.2f} spent"
    level = p["purchasing_power"]
    return told if level is None else f"{told}, price level {level:.2f}"


def _reasons(reasons: list[Mapping[str, Any]] | None) -> str:
    told = [
        f"{r['event_type']} {r['text'] or ''} ({r['effect']:+.2f})".replace("  ", " ")
        for r in reasons or []
    ]
    return ", ".join(told) or "the numbers alone"


def _recent(events: list[Mapping[str, Any]]) -> str:
    return " ← ".join(
        f"{e['event_type']} {e['title'] or e['text'] or ''}".strip() for e in events[:4]
    )
