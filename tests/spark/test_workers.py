"""A worker with frozen modules keeps its archive listings, and still finds new archives."""

import subprocess
import sys

import pytest

CODE = """
import gc, importlib, os, sys, zipfile
from profile_lib.spark.workers import freeze_loaded_modules

def add(name):
    path = f"{os.getcwd()}/{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"name = '{name}'")
    sys.path.insert(0, path)
    importlib.invalidate_caches()
    return importlib.import_module(name).name, path

name, path = add("before")
freeze_loaded_modules()
print(gc.get_freeze_count() > 1000)
listing = sys.path_importer_cache[path]._files
importlib.invalidate_caches()
print(sys.path_importer_cache[path]._files is listing)
print(name, add("after")[0])
"""


@pytest.mark.slow
def test_a_known_archive_is_not_listed_again_and_a_new_one_is_imported(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == ["True", "True", "before", "after"]
