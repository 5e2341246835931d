"""A cache of the files that Visdom's page needs, which are fetched once and verified.

Visdom's own server downloads them from several hosts when it first starts, unverified and partly over plain HTTP. Here
a file enters the cache only if its content is the expected one, whatever its source.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from monitor.dashboards.assets import sources
from monitor.dashboards.assets.manifest import ASSETS, Asset
from monitor.errors import MonitorError
from monitor.machine.files import atomic_write

__all__ = ["ASSETS", "ASSET_HELP", "Asset", "State", "cache_dir", "ensure", "export", "fetch", "verify"]

ASSET_HELP = (
    "Install npm and run `monitor assets fetch`, or run `monitor assets export FILE.zip` on a machine that has the "
    "files and then `monitor assets fetch --from FILE.zip` on this one."
)
LOOKS, LOOK_AGAIN_S = 3, 0.02
Progress = Callable[[int, int], object]


class State(NamedTuple):
    """The state of a folder of assets.

    Attributes:
        good: names of the files with the expected content.
        bad: names of files with another content, or that cannot be read.
        missing: names of the other files.
    """

    good: list[str]
    bad: list[str]
    missing: list[str]

    @property
    def complete(self) -> bool:
        """Whether every file is there and good."""
        return not self.bad and not self.missing


def cache_dir() -> Path:
    """Return the folder of the files: `MONITOR_ASSETS_DIR`, or one in the user's cache. It may not exist yet."""
    import platformdirs

    override = os.environ.get("MONITOR_ASSETS_DIR")
    return Path(override) if override else platformdirs.user_cache_path("training-monitor", False) / "visdom-assets"


def verify(directory: Path) -> State:
    """Check the content of every file of a folder. Reads at most 4.5 MB, in about 10 ms."""
    state = State([], [], [])
    content = dict(sources.from_folder(ASSETS, directory))
    for asset in ASSETS:
        if asset in content:
            (state.good if asset.is_content(content[asset]) else state.bad).append(asset.name)
        else:
            (state.bad if os.path.lexists(directory / asset.name) else state.missing).append(asset.name)
    return state


def _verify_shared(directory: Path) -> State:
    """Verify a folder that other processes fill too: one of them may have moved a file aside to look at it."""
    state = verify(directory)
    for _ in range(LOOKS):
        if state.complete:
            break
        time.sleep(LOOK_AGAIN_S)
        state = verify(directory)
    return state


def fetch(
    report: sources.Report,
    source: Path | None = None,
    directory: Path | None = None,
    timeout: float = 120.0,
    progress: Progress | None = None,
) -> State:
    """Fetch missing and damaged files, from `source` if there is one, else with npm, then with Visdom's downloader.

    Blocks for at most about `timeout` seconds. Several processes may do this at the same time. Files that cannot be
    fetched raise nothing: look at the state that is returned.

    Args:
        report: called with one line for each problem.
        source: a folder, or a zip that `export` made.
        directory: where the files belong; by default, `cache_dir()`.
        timeout: seconds.
        progress: called with the number of good files and the number of all files.

    Returns:
        The state of the folder afterwards.

    Raises:
        MonitorError: if the folder cannot be written, or the source is neither a folder nor a zip.
    """
    if source is not None and not source.is_dir() and not (source.is_file() and zipfile.is_zipfile(source)):
        raise MonitorError(f"{source}: {'neither a folder nor a zip' if source.exists() else 'does not exist'}")
    cache = _Cache(directory or cache_dir(), report, progress)
    deadline = time.monotonic() + timeout
    try:
        cache.remove_bad()
        if source is not None:
            cache.copy_from(source)
            return verify(cache.folder)
        for origin, get in (("npm", sources.from_npm), ("visdom's downloader", sources.from_visdom)):
            missing = cache.missing()
            if not missing:
                break
            # The children of a program that was killed may write there for a moment.
            with tempfile.TemporaryDirectory(prefix="monitor-assets-", ignore_cleanup_errors=True) as temporary:
                cache.store(origin, get(missing, Path(temporary), deadline - time.monotonic(), report))
        return _verify_shared(cache.folder)
    except OSError as error:
        raise MonitorError(f"{cache.folder}: cannot be filled ({error})") from error


def ensure(report: Callable[[str], object], notice: Callable[[str], object]) -> bool:
    """Fetch the files if some are missing or damaged; tell whether all are there then.

    Blocks for at most two minutes.

    Args:
        report: called with one line for each problem, and with what to do about missing files.
        notice: called with one line when files are fetched.
    """
    if verify(cache_dir()).complete:
        return True
    notice("Fetching the files for Visdom's page; this happens once")
    try:
        state = fetch(report)
    except MonitorError as error:
        report(f"{error}. {ASSET_HELP}")
        return False
    if not state.complete:
        report(f"Files for Visdom's page are missing: {', '.join([*state.bad, *state.missing])}. {ASSET_HELP}")
    return state.complete


def export(archive: Path, directory: Path | None = None) -> None:
    """Write all files to a zip, for `fetch` with it as the source. Raises `MonitorError` if one is missing or bad."""
    folder = directory or cache_dir()
    content = {asset: data for asset, data in sources.from_folder(ASSETS, folder) if asset.is_content(data)}
    missing = [asset.name for asset in ASSETS if asset not in content]
    if missing:
        raise MonitorError(f"{folder} is incomplete; run `monitor assets fetch` first: {', '.join(missing)}")

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for asset, data in content.items():  # with a fixed date, so that the same files make the same zip
            file.writestr(zipfile.ZipInfo(asset.name), data, zipfile.ZIP_DEFLATED)
    try:
        atomic_write(archive, packed.getvalue(), mode=0o644)
    except OSError as error:
        raise MonitorError(f"{archive}: cannot be written ({error.strerror or error})") from error


class _Cache(NamedTuple):
    """The folder to fill, and the functions that are called meanwhile."""

    folder: Path
    report: sources.Report
    progress: Progress | None

    def missing(self) -> list[Asset]:
        """Return the files that are not good, and report the progress."""
        good = _verify_shared(self.folder).good
        self.report_progress(len(good))
        return [asset for asset in ASSETS if asset.name not in good]

    def copy_from(self, source: Path) -> None:
        """Copy missing files from a folder or a zip."""
        missing = self.missing()
        try:
            files = sources.from_folder(missing, source) if source.is_dir() else sources.from_zip(missing, source)
            self.store(str(source), files)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise MonitorError(f"{source}: a damaged zip ({error})") from error

    def store(self, origin: str, files: sources.Files) -> None:
        """Store the files of a source that have the expected content, and report the others."""
        done = len(verify(self.folder).good)
        for asset, content in files:
            if asset.is_content(content):
                path = self.folder / asset.name
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(path, content, mode=0o644)  # readable by all, in case the folder is shared
                done += 1
                self.report_progress(done)
            else:
                self.report(f"{asset.name} from {origin}: wrong checksum, not used")

    def remove_bad(self) -> None:
        """Remove the bad files. If another process has just replaced one with a good one, that one is put back."""
        bad = verify(self.folder).bad
        for asset in (asset for asset in ASSETS if asset.name in bad):
            path = self.folder / asset.name
            aside = _beside(path)
            try:
                with suppress(FileNotFoundError):
                    path.replace(aside)
                if aside.is_file() and asset.is_content(aside.read_bytes()):
                    aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)

    def report_progress(self, done: int) -> None:
        """Report the number of good files."""
        if self.progress:
            self.progress(done, len(ASSETS))


def _beside(path: Path) -> Path:
    """Make an empty file with a new name in the same folder."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    return Path(name)
