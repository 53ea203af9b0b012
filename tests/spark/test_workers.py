"""A worker that has settled forgets nothing, and still sees what is added."""

import subprocess
import sys

CODE = """
import gc, importlib, os, sys, zipfile
from profile_lib.spark.workers import freeze_loaded_modules

def add(name):
    path = f"{os.getcwd()}/{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"told = '{name}'")
    sys.path.insert(0, path)
    importlib.invalidate_caches()
    return importlib.import_module(name).told, path

word, path = add("before")
freeze_loaded_modules()
print(gc.get_freeze_count() > 1000)
listing = sys.path_importer_cache[path]._files
importlib.invalidate_caches()
print(sys.path_importer_cache[path]._files is listing)
print(word, add("after")[0])
"""


def test_archives_are_not_listed_again_and_new_ones_are(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True", "before", "after"]
