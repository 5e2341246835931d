"""Where the files for Visdom's page come from: a folder, a zip, npm, or Visdom's own downloader.

Each source is a generator of files and their contents. The contents are not verified, but at most one byte longer than
expected. A source skips what it does not have; a file that cannot be read has the content `b""`. Names in archives are
only compared, and never used as paths.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING

from monitor.dashboards.assets.manifest import Asset

if TYPE_CHECKING:
    from pathlib import Path

Files = Iterator[tuple[Asset, bytes]]
Report = Callable[[str], object]

MAX_UNPACKED_BYTES = 64 * 2**20  # the largest pinned package has 4 MB
# Raised for damaged archives. Encryption and unknown compression raise RuntimeError.
ARCHIVE_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)

# Visdom's downloader has no timeouts, so a timer ends it, even if this process was killed before. MathJax, which it
# downloads last and with `requests`, is only needed for LaTeX in plots.
DOWNLOAD_SCRIPT = """
import os, sys, threading
timer = threading.Timer(float(sys.argv[1]), os._exit, [1])
timer.daemon = True
timer.start()
import requests
from visdom.server.build import download_scripts
requests.get = lambda *_, **__: sys.exit()
download_scripts(install_dir=".")
"""
# The names under which the downloader stores a file, if they differ from the names that the page asks for.
DOWNLOADED_NAMES = {
    "fonts/glyphicons-halflings-regular.svg": "fonts/glyphicons-halflings-regular.svg#glyphicons_halflingsregular",
}


def from_folder(assets: Sequence[Asset], folder: Path, file_names: dict[str, str] | None = None) -> Files:
    """Yield the files in a folder; `file_names` maps the name of an asset to that of its file, if they differ."""
    for asset in assets:
        path = folder / (file_names or {}).get(asset.name, asset.name)
        if path.is_file():
            yield asset, _read(partial(_open, path), asset)


def from_zip(assets: Sequence[Asset], path: Path) -> Files:
    """Yield the files in a zip. Raises `BadZipFile`."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        for asset in assets:
            if asset.name in names:
                yield asset, _read(partial(archive.open, asset.name), asset)


def from_npm(assets: Sequence[Asset], folder: Path, timeout: float, report: Report) -> Files:
    """Download npm packages into `folder`, and yield the files in them. Blocks for at most `timeout` seconds."""
    npm = shutil.which("npm")
    if npm is None:
        report("npm: not installed")
        return
    packages = sorted({asset.package for asset in assets})
    options = ["--loglevel=error", "--ignore-scripts", "--no-update-notifier", f"--cache={folder / 'cache'}"]
    options += ["--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=1000"]
    error_text = run([npm, "pack", *packages, *options], folder, timeout)
    if error_text:
        report(f"npm: {error_text}")
    for package in packages:
        # This is how npm names the file of a package without a scope; no pinned package has one.
        tarball = folder / (package.replace("@", "-") + ".tgz")
        if tarball.is_file():
            yield from _from_tarball([asset for asset in assets if asset.package == package], tarball)


def from_visdom(assets: Sequence[Asset], folder: Path, timeout: float, report: Report) -> Files:
    """Let Visdom's own downloader fill `folder`, and yield the files. Blocks for at most `timeout` seconds."""
    if find_spec("visdom") is None:
        report("visdom's downloader: visdom is not installed")
        return
    error_text = run([sys.executable, "-B", "-c", DOWNLOAD_SCRIPT, str(timeout)], folder, timeout)
    if error_text:
        report(f"visdom's downloader: {error_text}")
    yield from from_folder(assets, folder / "static", DOWNLOADED_NAMES)


def run(command: list[str], folder: Path, timeout: float) -> str | None:
    """Run a command in a folder, without input; return what went wrong, or None.

    Blocks for at most `timeout` seconds; then the command is killed with its process group.
    """
    if timeout <= 0:
        return "no time left"
    with (folder / "stderr").open("w+b") as stderr:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started ({error.strerror})"
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"not done after {timeout:.0f} s, stopped"
        finally:
            if process.poll() is None:
                _kill(process)
        if status == 0:
            return None
        stderr.seek(0)
        code = re.search(rb"error code (\w+)", stderr.read(100_000))
        return f"ended with status {status}" + (f" ({code[1].decode()})" if code else "")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, which leads its process group, with the group."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _from_tarball(assets: Sequence[Asset], path: Path) -> Files:
    """Yield the files in the tarball of an npm package."""
    try:
        with gzip.open(path) as packed:
            unpacked = io.BytesIO(packed.read(MAX_UNPACKED_BYTES))
        with tarfile.open(fileobj=unpacked, mode="r:") as tarball:
            members = {member.name: member for member in tarball if member.isreg()}
            for asset in assets:
                member = members.get(f"package/{asset.path}")
                if member is not None:
                    yield asset, _read(partial(tarball.extractfile, member), asset)
    except ARCHIVE_ERRORS:
        yield from ((asset, b"") for asset in assets)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _read(open_file: Callable[[], IO[bytes] | None], asset: Asset) -> bytes:
    """Read a file, at most one byte more than expected; return `b""` if it cannot be read."""
    try:
        file = open_file()
        if file is None:
            return b""
        with file:
            return file.read(asset.size + 1)
    except ARCHIVE_ERRORS:
        return b""
