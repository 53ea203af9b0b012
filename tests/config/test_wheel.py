"""An installed wheel contains its settings files."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOAD = """
from profile_lib.config.files import shipped_conf
from profile_lib.config.settings import load_settings
settings = load_settings("demo", ["ingest.mapping=ga"])
print(settings.paths.tables, settings.ingest.mapping, settings.simulate.n_users, shipped_conf())
assert load_settings("conf/demo.yaml").paths == settings.paths
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("profile_lib", "jobs", "conf"):
        shutil.copytree(ROOT / name, folder / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run(build, check=True, capture_output=True, cwd=folder)
    return next((folder / "dist").glob("*.whl"))


def load_from(package_path: Path, working_directory: Path) -> list[str]:
    """Load settings in a process of its own that imports the package from `package_path`."""
    process = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=working_directory, env={"PYTHONPATH": str(package_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


def test_an_unpacked_wheel_finds_its_settings_from_any_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    tables, mapping, n_users, conf = load_from(tmp_path / "installed", tmp_path)
    assert conf == str(tmp_path / "installed" / "profile_lib" / "conf")
    assert (tables, mapping, n_users) == ("data/demo/tables", f"{conf}/sources/ga.yaml", "3000")


def test_a_wheel_used_as_an_archive_finds_its_settings_too(wheel, tmp_path):
    archive = wheel.rename(wheel.with_suffix(".zip"))
    tables, mapping, n_users, conf = load_from(archive, tmp_path)
    assert (tables, mapping, n_users) == ("data/demo/tables", f"{conf}/sources/ga.yaml", "3000")
    assert not Path(conf).exists()  # it is unpacked for the life of the process
