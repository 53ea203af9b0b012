"""Find and read settings files, wherever the process was started."""

import atexit
import shutil
import tempfile
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from profile_lib.errors import InputError
from profile_lib.yaml_files import read_yaml

BASE = "base"  # key that names the file to change, and name of the folder with all defaults
MAPPINGS = "sources"  # folder of the mappings within conf/


@cache
def shipped_conf() -> Path:
    """Return the folder conf/ that comes with the package.

    An installed wheel has it in the package; a checkout has it at its top level. An archive on
    sys.path, as spark-submit --py-files makes it, is unpacked for the life of the process.
    """
    packaged = files("profile_lib") / "conf"
    if isinstance(packaged, Path):
        return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"
    folder = Path(tempfile.mkdtemp(prefix="profile_lib_conf_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _unpack(packaged, folder)
    return folder


def read_settings_file(name: str) -> tuple[Path, dict[str, Any]]:
    """Find a settings file; return its path, and its values over those of its base.

    Raises InputError if a file is missing, is not YAML, has a key twice, or is its own base.
    """
    path = _find(name, Path())
    if path is None:
        raise InputError(f"{name}: no such settings file; wanted a path or {_shipped_names()}")
    return path, _read(path, ())


def resolve_mapping(values: dict[str, Any], folder: Path) -> None:
    """Replace `ingest.mapping` by the path of the file that it names, if there is one.

    A missing file is reported when the mapping is read.
    """
    ingest = values.get("ingest")
    if isinstance(ingest, dict) and isinstance(ingest.get("mapping"), str):
        path = _find(ingest["mapping"], folder, MAPPINGS)
        if path is not None:
            ingest["mapping"] = str(path)


def files_with_sections(sections: set[str]) -> list[str]:
    """Name the files below conf/base that hold the defaults of these sections."""
    return [
        f"conf/{BASE}/{file.name}"
        for file in sorted((shipped_conf() / BASE).glob("*.yaml"))
        if sections & _parse(file).keys()
    ]


def _find(name: str, folder: Path, subfolder: str = "", naming: Path | None = None) -> Path | None:
    """Find a settings file or folder by its path or bare name.

    A path is tried as it is, then relative to `folder`, that of the file which holds the name, then
    relative to the shipped conf/. A bare name such as `demo` stands for demo.yaml, or for a folder
    demo, in the `subfolder` of `folder` or of the shipped conf/. The file `naming`, which holds the
    name, is never found itself. Returns None if no file is found.
    """
    path, conf = Path(name), shipped_conf()
    if name == path.name and not path.suffix:
        folders = (folder / subfolder, conf / subfolder)
        places = [place / kind for place in folders for kind in (f"{name}.yaml", name)]
    else:
        inside = Path(*path.parts[1:]) if path.parts[:1] == ("conf",) else path
        places = [path, folder / path, conf / inside]
    for place in places:
        is_settings = place.is_file() or (place.is_dir() and any(place.glob("*.yaml")))
        if is_settings and (naming is None or not place.samefile(naming)):
            return place
    return None


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """Read a file over its base; a folder holds one file per stage."""
    if path.resolve() in above:
        chain = " → ".join(map(str, (*above[above.index(path.resolve()) :], path)))
        raise InputError(f"{path}: a settings file is its own base: {chain}")
    if path.is_dir():
        values: dict[str, Any] = {}
        for file in sorted(path.glob("*.yaml")):
            values = _merge(values, _parse(file))
        resolve_mapping(values, path.parent)
        return values
    values = _parse(path)
    resolve_mapping(values, path.parent)
    base = values.pop(BASE, None)
    if base is None:
        return values
    base_path = _find(str(base), path.parent, naming=path)
    if base_path is None:
        raise InputError(
            f"{path}: base: no settings file {base}; wanted a path or {_shipped_names()}"
        )
    return _merge(_read(base_path, (*above, path.resolve())), values)


def _parse(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: wanted sections of keys, found {type(values).__name__}")
    return values


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged


def _shipped_names() -> str:
    """List the bare names of the shipped settings files, as part of a sentence."""
    names = sorted(file.stem for file in shipped_conf().glob("*.yaml"))
    return f"one of the names {BASE}, {', '.join(names)}"


def _unpack(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir()
            _unpack(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
