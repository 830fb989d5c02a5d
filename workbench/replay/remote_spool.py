"""A folder that several machines share: a local or mounted path, or object storage through fsspec.

What is written appears whole or not at all: on a disk by a temporary name and a rename,
in object storage because a put is atomic there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from workbench.errors import ConfigError, EnvironmentalError, ModelMissing
from workbench.store.spool import written_whole

OBJECT_STORES = frozenset(
    ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2", "tos", "memory")
)
"""Protocols whose put is atomic: readers see the old object or the new one, never half of it."""


def split_url(url: str) -> tuple[str, str]:
    """Return protocol and path of a spool's address; the protocol of a plain path is `file`.

    Raises:
        ConfigError: The address holds a password or key, or is of a kind whose writes are not atomic.
    """
    if "://" not in url:
        return "file", str(Path(url).absolute())
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise ConfigError(
            "The address of a spool may not hold keys or parameters.",
            "Leave them out; the storage's own variables or roles give access on each machine.",
        )
    if parts.scheme in ("file", "local"):
        return "file", unquote(parts.path)
    if parts.scheme not in OBJECT_STORES:
        known = ", ".join(sorted({"file", *OBJECT_STORES} - {"memory"}))
        raise ConfigError(
            f"A spool can't lie at {parts.scheme}://: writes there are not known to be atomic.",
            f"Use a path that all machines share, or one of: {known}.",
        )
    return parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/")


class RemoteSpool:
    """Files under one address, by names with slashes.

    Args:
        url: A path, `file://...`, or an object store's address such as `s3://bucket/folder`.

    Raises:
        ConfigError: The address is wrong.
        ModelMissing: The package that speaks to this storage is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.protocol, self._root = split_url(url)
        self.folder: Path | None = Path(self._root) if self.protocol == "file" else None
        self.filesystem: Any = None
        if self.folder is None:
            self.filesystem = _open_filesystem(self.protocol)

    def path(self, name: str) -> str:
        """Return where a file lies, as its file system spells it."""
        return f"{self._root}/{_checked(name)}"

    def write(self, name: str, data: bytes) -> None:
        """Write a file; it appears whole or not at all, also when this process is killed.

        Raises:
            EnvironmentalError: The storage does not take it.
        """
        try:
            if self.folder is None:
                self.filesystem.pipe_file(self.path(name), data)
                return
            with written_whole(Path(self.path(name))) as file:
                file.write(data)
        except OSError as error:
            raise self._failed("written", error) from error

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: It is not there.
            EnvironmentalError: The storage does not answer.
        """
        try:
            if self.folder is None:
                return bytes(self.filesystem.cat_file(self.path(name)))
            return Path(self.path(name)).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._failed("read", error) from error

    def exists(self, name: str) -> bool:
        """Say whether a file is there now; nothing remembered counts."""
        if self.folder is not None:
            return Path(self.path(name)).exists()
        try:
            self.filesystem.invalidate_cache()
            return bool(self.filesystem.exists(self.path(name)))
        except OSError as error:
            raise self._failed("read", error) from error

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; unfinished ones are left out."""
        if self.folder is not None:
            found = []
            base = Path(self.path(folder))
            for where, _, files in os.walk(base):
                below = Path(where).relative_to(self.folder).as_posix()
                found += [f"{below}/{each}" for each in files if not each.startswith(".")]
            return sorted(found)
        try:
            self.filesystem.invalidate_cache()
            listed = self.filesystem.find(self.path(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed("listed", error) from error
        root = self.filesystem._strip_protocol(self._root).rstrip("/") + "/"
        return sorted(str(each).removeprefix(root) for each in listed)

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders directly in a folder, sorted."""
        depth = len(PurePosixPath(folder).parts)
        parts = (PurePosixPath(each).parts for each in self.names(folder))
        return sorted({each[depth] for each in parts if len(each) > depth + 1})

    def remove(self, name: str) -> None:
        """Remove a file or a folder; what is not there is removed already."""
        try:
            if self.folder is None:
                with contextlib.suppress(FileNotFoundError):
                    self.filesystem.rm(self.path(name), recursive=True)
                return
            path = Path(self.path(name))
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("cleared", error) from error

    def _failed(self, what: str, error: OSError) -> EnvironmentalError:
        return EnvironmentalError(
            f"The spool {self.url} can't be {what}: {error.strerror or error}.",
            "See that this machine may reach and write it, then run the same command again: it goes on.",
        )


def _checked(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/"):
        raise ValueError(f"{name!r} is no name in a spool.")
    return name


def _open_filesystem(protocol: str) -> Any:
    try:
        import fsspec

        return fsspec.filesystem(protocol)
    except ImportError as error:
        raise ModelMissing(
            f"Storage at {protocol}:// needs a package that is not installed: {error}.",
            "Install `pip install 'shadow-workbench[ray]'` and the driver of this storage "
            "(s3fs, gcsfs, adlfs, ...) on every machine.",
        ) from error
