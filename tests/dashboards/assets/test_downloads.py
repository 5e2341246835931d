"""The files of Visdom's page come from npm, or from Visdom's downloader, and are checked."""

from __future__ import annotations

import re
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from monitor.dashboards.assets import sources
from monitor.dashboards.assets.cache import ASSETS, fetch
from monitor.testing import wait_until
from tests.support.asset_files import NAMES, Proxy, npm_that, tarballs, tree

CANNOT_REACH = re.compile(r"not installed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|not done after")


def test_npm_delivers_every_file(files: Path) -> None:
    assert sorted(tree(files)) == NAMES


@pytest.mark.slow
def test_an_npm_that_hangs_is_killed_with_its_children(bin_folder: Path, tmp_path: Path) -> None:
    npm_that(bin_folder, f"echo $$ >{tmp_path}/pids\n/bin/sleep 1000 &\necho $! >>{tmp_path}/pids\nwait\n")
    started = time.monotonic()
    lines: list[str] = []
    assert fetch(lines.append, timeout=3).missing == NAMES
    assert time.monotonic() - started < 30
    assert lines == ["npm: not done after 3 s, stopped", "visdom's downloader: no time left"]
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    wait_until(lambda: not any(map(runs, pids)), 60, f"the end of {pids}")
    assert list((tmp_path / "tmp").iterdir()) == []


def runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_wrong_content_from_npm_is_refused_by_name(files: Path, cache: Path, bin_folder: Path, tmp_path: Path) -> None:
    packages = tarballs(tmp_path / "packages", {**tree(files), "js/jquery.min.js": b"alert(1)"})
    (packages / "d3-3.5.17.tgz").write_bytes(b"no tarball")
    cut = packages / "plotly.js-dist-min-2.11.1.tgz"
    cut.write_bytes(cut.read_bytes()[:100_000])
    (packages / "sjcl-1.0.7.tgz").unlink()
    with tarfile.open(packages / "react-16.2.0.tgz", "w:gz") as tarball:
        link = tarfile.TarInfo("package/umd/react.production.min.js")
        link.type, link.linkname = tarfile.SYMTYPE, str(files / "js" / "react-react.min.js")
        tarball.addfile(link)
    npm_that(bin_folder, f"/bin/cp {packages}/* .\necho 'npm error code E404' >&2\nexit 1\n")
    lines: list[str] = []
    state = fetch(lines.append)
    refused = ["js/d3.v3.min.js", "js/jquery.min.js", "js/plotly-plotly.min.js"]
    assert lines == [
        "npm: ended with status 1 (E404)",
        *(f"{name} from npm: wrong checksum, not used" for name in refused),
    ]
    assert state.missing == sorted([*refused, "js/react-react.min.js", "js/sjcl.js"])
    assert sorted(tree(cache)) == state.good


@pytest.mark.usefixtures("offline")
def test_an_npm_that_cannot_be_started(bin_folder: Path) -> None:
    (bin_folder / "npm").write_bytes(b"\x7fELF")
    (bin_folder / "npm").chmod(0o755)
    lines: list[str] = []
    fetch(lines.append)
    assert lines == ["npm: cannot be started (Exec format error)"]


@pytest.mark.slow
def test_visdoms_downloader_delivers(files: Path, cache: Path, proxy: Proxy) -> None:
    """Through a proxy that gives what goes over plain HTTP, which is one file."""
    pytest.importorskip("visdom")
    proxy({"d3.v3.min.js": b"alert(1)"})
    lines: list[str] = []
    assert fetch(lines.append).missing == NAMES
    assert lines == ["npm: not installed", "js/d3.v3.min.js from visdom's downloader: wrong checksum, not used"]
    proxy({"d3.v3.min.js": (files / "js" / "d3.v3.min.js").read_bytes()})
    assert fetch(lines.append).good == ["js/d3.v3.min.js"]
    assert sorted(tree(cache)) == ["js/d3.v3.min.js"]


def test_what_visdoms_downloader_leaves_is_found(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "static")
    svg = tmp_path / "static" / "fonts" / "glyphicons-halflings-regular.svg"
    svg.rename(f"{svg}#glyphicons_halflingsregular")
    got = dict(sources.from_folder(ASSETS, tmp_path / "static", sources.DOWNLOADED_NAMES))
    assert all(asset.is_content(got[asset]) for asset in ASSETS)
