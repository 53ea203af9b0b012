"""Check look-alikes of users whose true order of similarity is known."""

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.segmentation.lookalikes import (
    find_lookalikes,
    fit_lookalike_model,
    held_out_auc,
    read_seeds,
    select_seeds_with_profile,
)

COLUMNS = "user_id string, interest_vector array<float>"
SETTING = "segments.lookalikes.x"
OPTIONS = {"n_sample": 100, "random_seed": 1, "setting": SETTING}


def make_profiles(n_users: int = 60) -> list[tuple[str, list[float]]]:
    """Users u00, u01, …, each further from the first axis than the previous one."""
    angles = np.linspace(0, np.pi / 2, n_users)
    return [(f"u{n:02}", [float(np.cos(a)), float(np.sin(a)), 0.3]) for n, a in enumerate(angles)]


def seeds_of(rows, *users):
    return rows("user_id string", *((user,) for user in users))


def test_the_users_nearest_to_the_seeds_are_found_without_the_seeds(rows):
    profiles = rows(COLUMNS, *make_profiles())
    seeds = seeds_of(rows, "u00", "u01", "u02", "u03", "u05", "u07")
    model = fit_lookalike_model(profiles, seeds, **OPTIONS)
    lookalikes = find_lookalikes(profiles, seeds, model, n_users=4).collect()
    assert [r["user_id"] for r in lookalikes] == ["u04", "u06", "u08", "u09"]
    assert model.n_seeds == 6
    assert model.auc > 0.9


def test_random_seeds_have_an_auc_of_a_half_and_too_few_seeds_have_none():
    rng = np.random.default_rng(5)
    vectors, labels = rng.normal(size=(400, 8)), rng.permutation(np.repeat([0, 1], 200))
    assert held_out_auc(vectors, labels, random_seed=1) == pytest.approx(0.5, abs=0.1)
    assert held_out_auc(vectors[:6], np.array([1, 1, 0, 0, 0, 0]), random_seed=1) is None


def test_seeds_are_distinct_and_have_a_profile(rows):
    profiles = rows(COLUMNS, *make_profiles(3))
    selected = select_seeds_with_profile(
        seeds_of(rows, "u01", "u01", "never seen", None), profiles, SETTING
    )
    assert [r[0] for r in selected.collect()] == ["u01"]
    with pytest.raises(InputError, match=r"x: found 1 users, none of them with a profile; wanted"):
        select_seeds_with_profile(seeds_of(rows, "never seen"), profiles, SETTING)
    with pytest.raises(InputError, match="x: found no user; wanted a column user_id of pseudonyms"):
        select_seeds_with_profile(seeds_of(rows), profiles, SETTING)


def test_seeds_or_others_without_a_usable_vector_are_refused(rows):
    profiles = rows(COLUMNS, ("ann", []), ("bob", [1.0]))
    with pytest.raises(InputError, match="x: found no seeds with a usable interest vector"):
        fit_lookalike_model(profiles, seeds_of(rows, "ann"), **OPTIONS)
    with pytest.raises(InputError, match="x: found no other users with a usable"):
        fit_lookalike_model(profiles, seeds_of(rows, "bob"), **OPTIONS)


def test_a_file_of_seeds_needs_the_column_user_id(spark, tmp_path):
    (tmp_path / "seeds.csv").write_text("name,user_id\nAnn,a\nBob,b\n")
    seeds = read_seeds(spark, str(tmp_path / "seeds.csv"), SETTING)
    assert [r[0] for r in seeds.collect()] == ["a", "b"]
    (tmp_path / "seeds.csv").write_text("name\nAnn\n")
    with pytest.raises(InputError, match="has 1 columns, none of them user_id"):
        read_seeds(spark, str(tmp_path / "seeds.csv"), SETTING)
    with pytest.raises(InputError, match="x: no file at /nowhere.csv; wanted a CSV"):
        read_seeds(spark, "/nowhere.csv", SETTING)
