"""The files for Visdom's page: real npm, real zips and folders, real processes, Visdom's downloader behind a proxy."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from monitor.cli import main
from monitor.dashboards import asset_sources
from monitor.dashboards.assets import ASSET_HELP, ASSETS, cache_dir, fetch, verify
from monitor.testing import wait_until

if TYPE_CHECKING:
    import subprocess

NAMES = sorted(asset.name for asset in ASSETS)
CANNOT_REACH = re.compile(r"not installed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|not done after")
Proxy = Callable[[dict[str, bytes]], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the cache a folder of the test's, that does not exist yet."""
    monkeypatch.setenv("MONITOR_ASSETS_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make PATH an empty folder: there is no npm but the one that a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def offline(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave neither npm nor a network."""
    with socket.socket() as nobody:  # bound, and not listening: every connection is refused
        nobody.bind(("127.0.0.1", 0))
        through(nobody.getsockname()[1], monkeypatch)
        yield


@pytest.fixture
def proxy(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Let all HTTP go to a server of the test's, that has some files; it refuses HTTPS."""
    held: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = held.get(self.path.rpartition("/")[2])
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    through(server.server_port, monkeypatch)
    yield held.update
    server.shutdown()
    server.server_close()
    thread.join()


def through(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["assets", *map(str, arguments)])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def npm_that(folder: Path, script: str) -> None:
    (folder / "npm").write_text("#!/bin/sh\n" + script)
    (folder / "npm").chmod(0o755)


def tarballs(folder: Path, content: dict[str, bytes]) -> Path:
    """Make the packages that npm would deliver, with this content."""
    folder.mkdir()
    for package in {asset.package for asset in ASSETS}:
        with tarfile.open(folder / (package.replace("@", "-") + ".tgz"), "w:gz") as tarball:
            for asset in ASSETS:
                if asset.package == package:
                    member = tarfile.TarInfo(f"package/{asset.path}")
                    member.size = len(content[asset.name])
                    tarball.addfile(member, io.BytesIO(content[asset.name]))
    return folder


def test_npm_delivers_every_file(files: Path) -> None:
    assert sorted(tree(files)) == NAMES


def test_every_file_that_the_pages_name_is_known() -> None:
    visdom = pytest.importorskip("visdom")
    static = Path(visdom.__file__).parent / "static"
    pages = (static / "index.html").read_text() + (static / "login.html").read_text()
    named = set(re.findall(r"static_url\(['\"](.*?)['\"]\)", pages))
    lacking = {name for name in named if not name.startswith("js/mathjax/") and not (static / name).exists()}
    assert lacking - {"../user/style.css"} == {name for name in NAMES if not name.startswith("fonts/")}


def test_a_complete_cache_is_left_alone(files: Path, cache: Path, offline: None) -> None:
    shutil.copytree(files, cache)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    steps: list[tuple[int, int]] = []
    assert fetch(pytest.fail, progress=lambda *step: steps.append(step)).complete
    assert steps == [(18, 18)]
    result = invoke("fetch")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"18 files in {cache}\n", "")
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def damage(cache: Path) -> list[str]:
    """Damage three small files of one package, and one of another, each in its way."""
    (cache / "css" / "react-resizable-styles.css").write_bytes(b"")
    longer = cache / "css" / "react-grid-layout-styles.css"
    longer.write_bytes(longer.read_bytes() + b" ")
    flipped = cache / "js" / "d3-selection-multi.v1.js"
    flipped.write_bytes(bytes([flipped.read_bytes()[0] ^ 1]) + flipped.read_bytes()[1:])
    (cache / "js" / "layout_bin_packer.js").unlink()
    (cache / "js" / "layout_bin_packer.js").symlink_to("nowhere")
    return [
        "css/react-grid-layout-styles.css", "css/react-resizable-styles.css", "js/d3-selection-multi.v1.js",
        "js/layout_bin_packer.js",
    ]  # fmt: skip


def test_damaged_files_are_replaced(files: Path, cache: Path) -> None:
    shutil.copytree(files, cache)
    damaged = damage(cache)
    (cache / "js" / "sjcl.js").unlink()
    result = invoke("status")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        *(f"damaged  {name}" for name in damaged), "missing  js/sjcl.js", f"13 of 18 files in {cache}",
    ]  # fmt: skip
    result = invoke("fetch", "--timeout", 90)
    assert result.exit_code == 0, result.output
    assert tree(cache) == tree(files)
    assert invoke("status").exit_code == 0


def test_a_damaged_file_that_cannot_be_replaced_is_removed(files: Path, cache: Path, offline: None) -> None:
    shutil.copytree(files, cache)
    damaged = damage(cache)
    state = fetch([].append)
    assert (state.bad, state.missing) == ([], damaged)
    assert sorted(tree(cache)) == sorted(set(NAMES) - set(damaged))
    assert not os.path.lexists(cache / "js" / "layout_bin_packer.js")


def test_a_machine_without_npm_and_network(cache: Path, offline: None, tmp_path: Path) -> None:
    started = time.monotonic()
    result = invoke("fetch")
    assert time.monotonic() - started < 60
    assert result.exit_code == 1
    *lines, last = result.stderr.splitlines()
    assert lines == ["npm: not installed"]
    assert last == f"Error: some files for Visdom's page could not be fetched: {', '.join(NAMES)}. {ASSET_HELP}"
    assert not cache.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_export_and_import(files: Path, cache: Path, offline: None, tmp_path: Path) -> None:
    shutil.copytree(files, cache)
    archive = tmp_path / "files.zip"
    assert invoke("export", archive).stdout == f"wrote {archive}\n"
    assert sorted(zipfile.ZipFile(archive).namelist()) == NAMES
    for source in (archive, files):
        shutil.rmtree(cache)
        result = invoke("fetch", "--from", source)
        assert (result.exit_code, result.stderr) == (0, "")
        assert tree(cache) == tree(files)


def test_an_incomplete_cache_is_not_exported(files: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(files, cache)
    (cache / "js" / "sjcl.js").write_bytes(b"other")
    (cache / "js" / "jquery.min.js").unlink()
    result = invoke("export", tmp_path / "files.zip")
    assert result.exit_code == 2
    assert result.stderr.endswith("run `monitor assets fetch` first: js/jquery.min.js, js/sjcl.js\n")
    assert not list(tmp_path.glob("*files.zip*"))


def test_an_export_that_cannot_be_written(files: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(files, cache)
    (tmp_path / "folder").mkdir()
    for archive in (tmp_path / "folder", tmp_path / "none" / "files.zip"):
        result = invoke("export", archive)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: {archive}: cannot be written (")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "folder", "tmp"]


def test_damaged_files_in_a_zip_are_named_and_not_used(files: Path, cache: Path, tmp_path: Path) -> None:
    content = tree(files)
    content["js/sjcl.js"] = content["js/jquery.min.js"]
    content["js/d3.v3.min.js"] += b" "
    archive = zipped(tmp_path / "bad.zip", content)
    with zipfile.ZipFile(archive) as file:
        start = file.getinfo("css/bootstrap.min.css").header_offset
    raw = bytearray(archive.read_bytes())
    raw[start + 1000 : start + 1010] = b"\xff" * 10
    archive.write_bytes(raw)
    result = invoke("fetch", "--from", archive)
    assert result.exit_code == 1
    bad = ["css/bootstrap.min.css", "js/d3.v3.min.js", "js/sjcl.js"]
    *lines, last = result.stderr.splitlines()
    assert lines == [f"{name} from {archive}: wrong checksum, not used" for name in bad]
    assert f"could not be fetched: {', '.join(bad)}. {ASSET_HELP}" in last
    assert sorted(tree(cache)) == sorted(set(NAMES) - set(bad))


def test_names_in_a_zip_are_never_paths(files: Path, cache: Path, tmp_path: Path) -> None:
    content = tree(files)
    outside = tmp_path / "outside.js"
    names = ["../sjcl.js", str(outside), "js/../js/sjcl.js", "./js/sjcl.js", "js\\sjcl.js", "JS/sjcl.js", "js/other.js"]
    evil = zipped(tmp_path / "evil.zip", dict.fromkeys(names, content["js/sjcl.js"]))
    assert verify(cache).missing == fetch(pytest.fail, evil).missing
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.zip", "tmp"]


def test_a_source_that_is_none(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    (tmp_path / "cut.zip").write_bytes(b"PK\5\6" + b"\xff" * 18)
    for name, says in (("none", "does not exist"), ("text", "neither a folder nor a zip"), ("cut.zip", "zip")):
        result = invoke("fetch", "--from", tmp_path / name)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: {tmp_path / name}: ")
        assert says in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_cache_that_cannot_be_a_folder(files: Path, cache: Path) -> None:
    cache.write_text("")
    result = invoke("fetch", "--from", files)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {cache}: cannot be filled (")
    assert result.stderr.count("\n") == 1


def test_an_npm_that_hangs_is_killed_with_its_children(bin_folder: Path, tmp_path: Path) -> None:
    npm_that(bin_folder, f"echo $$ >{tmp_path}/pids\n/bin/sleep 1000 &\necho $! >>{tmp_path}/pids\nwait\n")
    started = time.monotonic()
    lines: list[str] = []
    assert fetch(lines.append, timeout=3).missing == NAMES
    assert time.monotonic() - started < 30
    assert lines == ["npm: not done after 3 s, stopped", "visdom's downloader: no time left"]
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    wait_until(lambda: not any(map(runs, pids)), 10, f"the end of {pids}")
    assert list((tmp_path / "tmp").iterdir()) == []


def runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_wrong_content_from_npm_is_refused_by_name(
    files: Path, cache: Path, offline: None, bin_folder: Path, tmp_path: Path
) -> None:
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


def test_an_npm_that_cannot_be_started(offline: None, bin_folder: Path) -> None:
    (bin_folder / "npm").write_bytes(b"\x7fELF")
    (bin_folder / "npm").chmod(0o755)
    lines: list[str] = []
    fetch(lines.append)
    assert lines == ["npm: cannot be started (Exec format error)"]


def test_two_processes_fetch_at_a_time(
    files: Path,
    cache: Path,
    offline: None,
    bin_folder: Path,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    npm_that(bin_folder, f"/bin/cp {tarballs(tmp_path / 'packages', tree(files))}/* .\n")
    shutil.copytree(files, cache)
    damage(cache)
    shutil.rmtree(cache / "fonts")
    both = [start("-c", "from monitor.cli import main; main()", "assets", "fetch") for _ in range(2)]
    for process in both:
        assert process.communicate(timeout=60) == (f"18 files in {cache}\n", "")
        assert process.returncode == 0
    assert tree(cache) == tree(files)


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
    got = dict(asset_sources.from_folder(ASSETS, tmp_path / "static", asset_sources.DOWNLOADED_NAMES))
    assert all(asset.is_content(got[asset]) for asset in ASSETS)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_dir() == cache
    monkeypatch.delenv("MONITOR_ASSETS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().parts[-2:] == ("training-monitor", "visdom-assets")
