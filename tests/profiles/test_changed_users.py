"""Whose profile is computed."""

from profile_lib.profiles.changed_users import select_users_in_buckets


def test_every_user_is_in_one_bucket_and_named_once(rows):
    events = rows("user_id string", *[(f"u{n}",) for n in range(20)] * 2)
    found = [[r[0] for r in select_users_in_buckets(events, [b], 3).collect()] for b in range(3)]
    assert sorted(user for bucket in found for user in bucket) == sorted(f"u{n}" for n in range(20))
    assert all(found)
