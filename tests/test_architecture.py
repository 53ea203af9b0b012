"""Who may import whom: stages meet at the tables and do not know each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ONE_FILE = {
    "horovod": ("profile_lib/training/distributed/horovod_launcher.py",),
    "petastorm": ("profile_lib/training/data/petastorm_loader.py",),
    "mlflow": ("profile_lib/training/tracking.py", "profile_lib/inference/mlflow_model.py"),
    "wandb": ("profile_lib/training/tracking.py",),
    "openvino": (
        "profile_lib/inference/openvino_int8.py",
        "profile_lib/inference/runtime_choice.py",
        "profile_lib/training/compression/quantization.py",
    ),
    "nncf": ("profile_lib/training/compression/quantization.py",),
    "peft": ("profile_lib/training/adapters.py",),
}


def modules() -> list[Path]:
    return sorted((ROOT / "profile_lib").rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_in_the_library_imports_jobs(path):
    assert not {name for name in imported(path) if name.split(".")[0] == "jobs"}


@pytest.mark.parametrize(("engine", "homes"), ONE_FILE.items())
def test_each_heavy_engine_has_its_own_files(engine, homes):
    users = {
        str(path.relative_to(ROOT))
        for path in [*modules(), *(ROOT / "jobs").glob("*.py")]
        if any(name.split(".")[0] == engine for name in imported(path))
    }
    assert users == set(homes)


def test_a_driver_that_does_not_train_starts_without_what_takes_seconds_to_import():
    jobs = ("build_examples", "refresh_profiles", "stream_profiles")
    modules = ", ".join(f"profile_lib.pipelines.{job}" for job in jobs)
    code = (
        f"import sys, {modules}; print(*{{'torch', 'transformers', 'sklearn'}} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
