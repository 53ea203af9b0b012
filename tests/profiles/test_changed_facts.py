"""Check which changes of `users` concern profiles."""

from profile_lib.profiles.changed_facts import find_users_of_changed_facts

CHANGES = (
    "user_id string, age_band string, gender string, region string, "
    "attributes map<string,string>, declared string, _change_type string"
)
BEFORE, AFTER = "update_preimage", "update_postimage"


def test_users_whose_facts_changed_were_added_or_removed_are_found_and_new_times_are_not(rows):
    kids = {"kids": "2", "city": "paris"}
    changes = rows(
        CHANGES,
        ("same", None, "f", None, kids, "day 1", BEFORE),
        ("same", None, "f", None, dict(reversed(kids.items())), "day 2", AFTER),
        ("withdrawn", None, "f", None, {}, "day 1", BEFORE),
        ("withdrawn", None, None, None, {}, "day 2", AFTER),
        ("more", None, None, None, {}, "day 1", BEFORE),
        ("more", None, None, None, kids, "day 2", AFTER),
        ("new", None, None, None, {}, "day 2", "insert"),
        ("gone", None, None, None, {}, "day 2", "delete"),
    )
    changed = find_users_of_changed_facts(changes).collect()
    assert sorted(row[0] for row in changed) == ["gone", "more", "new", "withdrawn"]
