"""The import rules that import-linter cannot state; pyproject.toml holds the others."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_jobs_that_do_not_train_start_without_importing_torch_transformers_or_sklearn():
    jobs = ("build_examples", "refresh_profiles", "stream_profiles")
    modules = ", ".join(["profile_lib.cli", *(f"profile_lib.pipelines.{job}" for job in jobs)])
    code = (
        f"import sys, {modules}; print(*{{'torch', 'transformers', 'sklearn'}} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
