"""What is needed of an object store, through fsspec, with errors that say in one line what is wrong."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.errors import MissingExtra, MonitorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RUN_FILE = "run.json"  # what makes a folder of a store a run
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5, 30
CHUNK_BYTES = 5 * 2**20  # of a large file that is uploaded in parts; the smallest that S3 takes
MANY_FILES = 200  # small ones, that are downloaded at once
# Stores that show an object once it is complete; elsewhere, a file gets its name at the end.
COMPLETE_AT_ONCE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}
REFUSALS = {
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError", "RefreshError",
    "ParamValidationError", "InvalidRegionError", "CredentialRetrievalError", "TokenRetrievalError",
    "SSOTokenLoadError", "UnauthorizedSSOTokenError", "ClientAuthenticationError",
}  # fmt: skip


class StoreError(MonitorError, OSError):
    """A store does not do what it was asked for.

    Attributes:
        is_refusal: whether it will not do so later either: no access, no such bucket. Otherwise, nothing is lost, and
            another attempt makes sense.
    """

    def __init__(self, message: str, *, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.is_refusal = is_refusal


class Stamp(NamedTuple):
    """Tells one version of an object from another."""

    size: int
    version: str


class Store:
    """The objects below one address, by their names relative to it. Each method blocks, and raises `StoreError`."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet. Raises `MissingExtra` if the packages for this kind of address are not installed."""
        self.url = url
        scheme = url.partition("://")[0]
        try:
            import fsspec

            with _translated(url):
                try:
                    self._fs, self._root = fsspec.core.url_to_fs(url, **_options(scheme))
                except ValueError as error:
                    raise StoreError(f"{url} cannot be used: {_line(error)}", is_refusal=True) from error
        except ImportError as error:
            package = f"training-monitor[{EXTRAS[scheme]}]" if scheme in EXTRAS else "fsspec"
            need = f"the extra {EXTRAS[scheme]}: pip install '{package}'" if scheme in EXTRAS else str(error)
            raise MissingExtra(f"{scheme}:// needs {need}") from error
        self._fs.retries = 1  # of s3fs; whoever calls tries again, and can be asked to stop
        logging.getLogger("aiobotocore").setLevel(logging.ERROR)
        self._is_complete_at_once = scheme in COMPLETE_AT_ONCE

    def check(self) -> None:
        """Ask for one name that starts with a dot, so that a missing bucket or missing rights show."""
        with _translated(self.url):
            self._fs.find(self._at(".claim"))

    def put(self, name: str, data: bytes) -> None:
        """Write a small object, in place of what is there."""
        with _translated(self.url):
            if self._is_complete_at_once:
                self._fs.pipe_file(self._at(name), data)
            else:
                with self._complete(name) as part:
                    self._fs.pipe_file(part, data)

    def put_file(self, name: str, path: Path, on_progress: Callable[[], None]) -> None:
        """Write an object from a file of any size; `on_progress` is called whenever a part of it is there."""
        from fsspec.callbacks import Callback

        class Progress(Callback):  # type: ignore[misc]
            def call(self, *_: Any, **__: Any) -> None:
                on_progress()

        options: dict[str, Any] = {"callback": Progress()}
        if self._fs.__class__.__name__ == "S3FileSystem":
            options |= {"chunksize": CHUNK_BYTES, "max_concurrency": 1}
        with _translated(self.url):
            if self._is_complete_at_once:
                self._fs.put_file(str(path), self._at(name), **options)
            else:
                with self._complete(name) as part:
                    self._fs.put_file(str(path), part, **options)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object unless there is one; tell whether it was written."""
        with _translated(self.url):
            if not self._is_complete_at_once:
                self._fs.makedirs(self._fs._parent(self._at(name)), exist_ok=True)  # noqa: SLF001 - fsspec's own name
            try:
                self._fs.pipe_file(self._at(name), data, mode="create")
            except FileExistsError:
                return False
            except (TypeError, ValueError, NotImplementedError):  # this store has no way to do it in one step
                if self._fs.exists(self._at(name)):
                    return False
                self._fs.pipe_file(self._at(name), data)
        return True

    def get(self, name: str) -> bytes | None:
        """Return an object; None if there is none."""
        with _translated(self.url):
            try:
                return bytes(self._fs.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

    def list(self) -> dict[str, Stamp]:
        """Return all objects by name. Names that lead elsewhere, such as `../x`, are left out."""
        with _translated(self.url):
            try:
                found = self._fs.find(self._root, detail=True)
            except FileNotFoundError:
                if self._is_complete_at_once:  # there is no bucket
                    raise
                found = {}
        objects = {}
        for path, info in found.items():
            name = str(path).removeprefix(self._root).removeprefix("/")
            parts = PurePosixPath(name).parts
            if name and name == "/".join(parts) and ".." not in parts and "\0" not in name:
                keys = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created")
                version = next((str(info[key]) for key in keys if info.get(key) is not None), "")
                objects[name] = Stamp(int(info.get("size") or 0), version)
        return objects

    def download(self, name: str, path: Path) -> None:
        """Write an object of any size to a file, which appears when it is complete."""
        part = path.with_name(f".{path.name[:100].replace('tfevents', 'events')}.download")
        with _translated(self.url):
            try:
                self._fs.get_file(self._at(name), str(part))
                part.replace(path)
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield many small objects, several at once; one that is gone meanwhile is left out."""
        patterns = [name for name in names if any(wildcard in name for wildcard in "*?[")]  # to fsspec
        for name in patterns:
            data = self.get(name)
            if data is not None:
                yield name, data
        plain = sorted({*names} - {*patterns})
        for first in range(0, len(plain), MANY_FILES):
            with _translated(self.url):
                paths = {self._at(name): name for name in plain[first : first + MANY_FILES]}
                found = self._fs.cat(list(paths), on_error="return")
            for path, content in found.items():
                if isinstance(content, bytes):
                    yield paths[path], content
                elif not isinstance(content, FileNotFoundError):
                    with _translated(self.url):
                        raise content

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with _translated(self.url), suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _complete(self, name: str) -> Iterator[str]:
        """Give a path to write to, whose file gets its name at the end."""
        folder, _, last = self._at(name).rpartition("/")
        part = f"{folder}/.{last[:100].replace('tfevents', 'events')}.upload"
        self._fs.makedirs(folder, exist_ok=True)
        yield part
        self._fs.mv(part, self._at(name))


def _options(scheme: str) -> dict[str, Any]:
    options: dict[str, Any] = {"use_listings_cache": False}
    if EXTRAS.get(scheme) == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:  # fsspec shares connections by options, and knows nothing of the environment
            options["endpoint_url"] = endpoint
        times = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
        options["config_kwargs"] = {**times, "retries": {"max_attempts": 1}}
    return options


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn whatever a library raises for a store into a `StoreError`."""
    try:
        yield
    except (StoreError, ImportError):
        raise
    except FileNotFoundError as error:
        message = f"{url} cannot be used: {_line(error)}; make the bucket or folder first"
        raise StoreError(message, is_refusal=True) from error
    except PermissionError as error:
        message = f"{url} cannot be used: {_line(error)}; check the credentials and what they allow"
        raise StoreError(message, is_refusal=True) from error
    except Exception as error:  # of the libraries behind fsspec, which share no base
        code = str(getattr(error, "code", ""))
        if type(error).__name__ in REFUSALS or code in ("401", "403", "404"):
            message = f"{url} cannot be used: {_line(error)}; check the credentials and the address"
            raise StoreError(message, is_refusal=True) from error
        raise StoreError(f"{url} cannot be reached: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
