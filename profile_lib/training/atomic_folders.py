"""Folders that appear whole or not at all, on a local disk or any Hadoop file system."""

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from py4j.protocol import Py4JJavaError
from safetensors import SafetensorError

from profile_lib.errors import InputError

DISK_FULL_MESSAGE = "No space left on device"
UNFINISHED_SUFFIX = ".writing"


class Folder(Protocol):
    """A folder of folders."""

    def list_names(self) -> list[str]:
        """What it holds, half-written ones among it."""

    def open_for_writing(self, name: str) -> AbstractContextManager[Path]:
        """A local folder to fill, which appears as `name` where the body ends without an error."""

    def open_for_reading(self, name: str) -> AbstractContextManager[Path]:
        """A local folder that holds what `name` holds."""

    def remove(self, name: str) -> None:
        """Remove it with all it holds."""


def open_folder(path: str, hadoop: Mapping[str, str]) -> Folder:
    """The folder at a path: one with a scheme, such as hdfs: or s3a:, by Hadoop's own client.

    `hadoop` are the properties it needs beyond those of HADOOP_CONF_DIR.
    """
    if "://" in path or path.startswith("file:"):
        return HadoopFolder(path, tuple(sorted(hadoop.items())))
    return LocalFolder(Path(path))


class LocalFolder:
    """On a disk of this machine, or one that is mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def list_names(self) -> list[str]:
        """What it holds."""
        return [p.name for p in self.path.iterdir()] if self.path.is_dir() else []

    @contextmanager
    def open_for_writing(self, name: str) -> Iterator[Path]:
        """A sibling, which is renamed at the end."""
        fresh = self.path / (name + UNFINISHED_SUFFIX)
        shutil.rmtree(fresh, ignore_errors=True)  # what an interrupted write left
        fresh.mkdir(parents=True)
        try:
            yield fresh
        except BaseException:
            shutil.rmtree(fresh)
            raise
        shutil.rmtree(self.path / name, ignore_errors=True)
        fresh.rename(self.path / name)

    @contextmanager
    def open_for_reading(self, name: str) -> Iterator[Path]:
        """It lies there already."""
        yield self.path / name

    def remove(self, name: str) -> None:
        """Remove it."""
        shutil.rmtree(self.path / name)


class HadoopFolder:
    """On whatever Hadoop's client reaches; the client runs in the JVM that Spark brings.

    On object stores a rename is no single act: the folder appears file by file, in the order in
    which the files were written.
    """

    def __init__(self, uri: str, properties: tuple[tuple[str, str], ...]) -> None:
        self.uri = uri
        self._jvm, self._conf = _client(properties)
        self._root = self._path(uri)
        self._system = self._root.getFileSystem(self._conf)

    def list_names(self) -> list[str]:
        """What it holds."""
        if not self._system.exists(self._root):
            return []
        return [status.getPath().getName() for status in self._system.listStatus(self._root)]

    @contextmanager
    def open_for_writing(self, name: str) -> Iterator[Path]:
        """A local folder, which is copied, then renamed."""
        there, fresh = (
            self._path(f"{self.uri}/{name}"),
            self._path(f"{self.uri}/{name}{UNFINISHED_SUFFIX}"),
        )
        with TemporaryDirectory() as scratch:
            yield Path(scratch)
            for stale in (fresh, there):
                self._system.delete(stale, True)
            self._system.mkdirs(fresh)
            for file in sorted(Path(scratch).iterdir(), key=lambda f: f.stat().st_mtime_ns):
                self._system.copyFromLocalFile(self._path(file.as_uri()), fresh)
        self._system.rename(fresh, there)

    @contextmanager
    def open_for_reading(self, name: str) -> Iterator[Path]:
        """A copy of it."""
        with TemporaryDirectory() as scratch:
            target, source = Path(scratch) / name, self._path(f"{self.uri}/{name}")
            self._system.copyToLocalFile(False, source, self._path(target.as_uri()), True)
            yield target

    def remove(self, name: str) -> None:
        """Remove it."""
        self._system.delete(self._path(f"{self.uri}/{name}"), True)

    def _path(self, uri: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(uri)


@lru_cache(maxsize=1)
def _client(properties: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    """The JVM of this process's Spark, or one of its own (a rank has no Spark)."""
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    gateway = SparkContext._gateway or launch_gateway()
    conf = gateway.jvm.org.apache.hadoop.conf.Configuration()
    for key, value in properties:
        conf.set(key, value)
    return gateway.jvm, conf


@contextmanager
def explain_full_disk(path: str) -> Iterator[None]:
    """Raise InputError where the disk is full."""
    try:
        yield
    except (OSError, SafetensorError, Py4JJavaError) as error:
        if getattr(error, "errno", None) != errno.ENOSPC and not _is_disk_full(error):
            raise
        raise InputError(
            f"{path}: {DISK_FULL_MESSAGE}; free some, or name a larger place in paths.work, paths.models "
            "or training.checkpoint_path, and start again; --resume goes on from the last "
            "checkpoint, where there is one"
        ) from error


def _is_disk_full(error: BaseException) -> bool:
    told = str(error)
    return DISK_FULL_MESSAGE in told or (
        isinstance(error, SafetensorError) and "StorageFull" in told
    )
