"""Check which users a bucket holds."""

from profile_lib.profiles.refresh_state import select_users_in_buckets


def test_every_user_is_in_exactly_one_bucket_and_is_selected_once(rows):
    users = [f"u{n}" for n in range(20)]
    events = rows("user_id string", *[(user,) for user in users] * 2)
    users_by_bucket = [
        [row[0] for row in select_users_in_buckets(events, [bucket], 3).collect()]
        for bucket in range(3)
    ]
    assert sorted(user for bucket in users_by_bucket for user in bucket) == sorted(users)
    assert all(users_by_bucket)
