"""Write folders atomically, on a local disk or a Hadoop file system."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from profile_lib.errors import InputError
from profile_lib.files import UNFINISHED_SUFFIX, atomic_folder


class Folder(Protocol):
    """A folder whose subfolders are written completely or not at all."""

    def list_names(self) -> list[str]:
        """Return the names of its entries, unfinished folders included; none if it is missing."""

    def open_for_writing(self, name: str) -> AbstractContextManager[Path]:
        """Yield a local folder to fill; it becomes `name` unless the body raises."""

    def open_for_reading(self, name: str) -> AbstractContextManager[Path]:
        """Yield a local folder with the contents of `name`."""

    def remove(self, name: str) -> None:
        """Remove `name` and its contents."""


def open_folder(path: str, hadoop: Mapping[str, str]) -> Folder:
    """Open a folder, by Hadoop's client if the path has a scheme such as s3a:.

    `hadoop` holds the client's properties in addition to those of HADOOP_CONF_DIR.
    """
    if "://" in path or path.startswith("file:"):
        return HadoopFolder(path, tuple(sorted(hadoop.items())))
    return LocalFolder(Path(path))


class LocalFolder:
    """A folder on a disk of this machine, or on a mounted one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def list_names(self) -> list[str]:
        """Return the names of its entries; none if it is missing."""
        return [p.name for p in self.path.iterdir()] if self.path.is_dir() else []

    def open_for_writing(self, name: str) -> AbstractContextManager[Path]:
        """Yield a sibling of `name`, which is renamed to it at the end."""
        return atomic_folder(self.path / name)

    @contextmanager
    def open_for_reading(self, name: str) -> Iterator[Path]:
        """Yield the folder itself."""
        yield self.path / name

    def remove(self, name: str) -> None:
        """Remove `name` and its contents."""
        shutil.rmtree(self.path / name)


class HadoopFolder:
    """A folder that Hadoop's client reads and writes, run in the JVM of Spark.

    Object stores do not rename atomically: there the folder appears file by file, in the order in
    which the files were written.
    """

    def __init__(self, uri: str, properties: tuple[tuple[str, str], ...]) -> None:
        self.uri = uri
        self._jvm, self._conf = _client(properties)
        self._root = self._path(uri)
        self._system = self._root.getFileSystem(self._conf)

    def list_names(self) -> list[str]:
        """Return the names of its entries; none if it is missing."""
        if not self._system.exists(self._root):
            return []
        return [status.getPath().getName() for status in self._system.listStatus(self._root)]

    @contextmanager
    def open_for_writing(self, name: str) -> Iterator[Path]:
        """Yield a local folder, which is copied next to `name` and then renamed.

        Raises InputError if the file system refuses the new name.
        """
        target = self._path(f"{self.uri}/{name}")
        unfinished = self._path(f"{self.uri}/{name}{UNFINISHED_SUFFIX}")
        with TemporaryDirectory() as scratch:
            yield Path(scratch)
            for stale in (unfinished, target):
                self._system.delete(stale, True)
            self._system.mkdirs(unfinished)
            for file in sorted(Path(scratch).iterdir(), key=lambda f: f.stat().st_mtime_ns):
                self._system.copyFromLocalFile(self._path(file.as_uri()), unfinished)
        if not self._system.rename(unfinished, target):
            raise InputError(
                f"{target}: {unfinished.getName()} next to it could not be renamed to it, and the "
                "file system does not say why; check that the folder may be written"
            )

    @contextmanager
    def open_for_reading(self, name: str) -> Iterator[Path]:
        """Yield a local copy."""
        with TemporaryDirectory() as scratch:
            target, source = Path(scratch) / name, self._path(f"{self.uri}/{name}")
            self._system.copyToLocalFile(False, source, self._path(target.as_uri()), True)
            yield target

    def remove(self, name: str) -> None:
        """Remove `name` and its contents."""
        self._system.delete(self._path(f"{self.uri}/{name}"), True)

    def _path(self, uri: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(uri)


@lru_cache(maxsize=1)
def _client(properties: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    """Return a JVM, that of this process's Spark if it has one, and its configuration."""
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    gateway = SparkContext._gateway or launch_gateway()
    conf = gateway.jvm.org.apache.hadoop.conf.Configuration()
    for key, value in properties:
        conf.set(key, value)
    return gateway.jvm, conf
