"""Users like a list's are found in a world where the direction is known."""

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
HERE = "segments.lookalikes.x"
RULES = {"n_sample": 100, "seed": 1, "setting": HERE}


def world(n_users: int = 60) -> list[tuple[str, list[float]]]:
    """u0, u1, …: each further from the first axis than the one before."""
    angles = np.linspace(0, np.pi / 2, n_users)
    return [(f"u{n:02}", [float(np.cos(a)), float(np.sin(a)), 0.3]) for n, a in enumerate(angles)]


def seeds_of(rows, *users):
    return rows("user_id string", *((user,) for user in users))


def test_those_nearest_to_the_seeds_are_found_and_seeds_are_not_among_them(rows):
    profiles = rows(COLUMNS, *world())
    seeds = seeds_of(rows, "u00", "u01", "u02", "u03", "u05", "u07")
    lookalike_model = fit_lookalike_model(profiles, seeds, **RULES)
    found = find_lookalikes(profiles, seeds, lookalike_model, n_users=4).collect()
    assert [r["user_id"] for r in found] == ["u04", "u06", "u08", "u09"]
    assert lookalike_model.n_seeds == 6
    assert lookalike_model.auc > 0.9


def test_seeds_by_chance_are_not_found_and_few_cannot_be_judged():
    rng = np.random.default_rng(5)
    units, labels = rng.normal(size=(400, 8)), rng.permutation(np.repeat([0, 1], 200))
    assert held_out_auc(units, labels, seed=1) == pytest.approx(0.5, abs=0.1)
    assert held_out_auc(units[:6], np.array([1, 1, 0, 0, 0, 0]), seed=1) is None


def test_seeds_are_those_that_have_a_profile_each_once(rows):
    profiles = rows(COLUMNS, *world(3))
    known = select_seeds_with_profile(
        seeds_of(rows, "u01", "u01", "never seen", None), profiles, HERE
    )
    assert [r[0] for r in known.collect()] == ["u01"]
    with pytest.raises(InputError, match=r"x: found 1 users, none of whom has a profile; wanted"):
        select_seeds_with_profile(seeds_of(rows, "never seen"), profiles, HERE)
    with pytest.raises(InputError, match="x: found no user; wanted a column user_id of pseudonyms"):
        select_seeds_with_profile(seeds_of(rows), profiles, HERE)


def test_seeds_without_a_usable_vector_are_told(rows):
    profiles = rows(COLUMNS, ("ann", []), ("bob", [1.0]))
    with pytest.raises(InputError, match="x: found no seeds with a usable interest vector"):
        fit_lookalike_model(profiles, seeds_of(rows, "ann"), **RULES)
    with pytest.raises(InputError, match="x: found no other users with a usable"):
        fit_lookalike_model(profiles, seeds_of(rows, "bob"), **RULES)


def test_a_file_of_seeds_has_a_column_of_users(spark, tmp_path):
    (tmp_path / "seeds.csv").write_text("name,user_id\nAnn,a\nBob,b\n")
    seeds = read_seeds(spark, str(tmp_path / "seeds.csv"), HERE)
    assert [r[0] for r in seeds.collect()] == ["a", "b"]
    (tmp_path / "seeds.csv").write_text("name\nAnn\n")
    with pytest.raises(InputError, match=r"has the columns \['name'\], wanted user_id"):
        read_seeds(spark, str(tmp_path / "seeds.csv"), HERE)
    with pytest.raises(InputError, match="x: no file at /nowhere.csv; wanted a CSV"):
        read_seeds(spark, "/nowhere.csv", HERE)
