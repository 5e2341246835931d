"""The cache of the files of Visdom's page: filled, repaired, left alone."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.dashboards.assets.cache import ASSET_HELP, cache_dir, fetch

if TYPE_CHECKING:
    from tests.support.processes import Start
from tests.support.asset_files import NAMES, damage, invoke, npm_that, tarballs, tree


def test_every_file_that_the_pages_name_is_known() -> None:
    visdom = pytest.importorskip("visdom")
    static = Path(visdom.__file__).parent / "static"
    pages = (static / "index.html").read_text() + (static / "login.html").read_text()
    named = set(re.findall(r"static_url\(['\"](.*?)['\"]\)", pages))
    lacking = {name for name in named if not name.startswith("js/mathjax/") and not (static / name).exists()}
    assert lacking - {"../user/style.css"} == {name for name in NAMES if not name.startswith("fonts/")}


@pytest.mark.usefixtures("offline")
def test_a_complete_cache_is_left_alone(files: Path, cache: Path) -> None:
    shutil.copytree(files, cache)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    steps: list[tuple[int, int]] = []
    assert fetch(pytest.fail, progress=lambda *step: steps.append(step)).complete
    assert steps == [(18, 18)]
    result = invoke("fetch")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"18 files in {cache}\n", "")
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


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


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_damaged_file_that_cannot_be_replaced_is_removed(files: Path, cache: Path) -> None:
    shutil.copytree(files, cache)
    damaged = damage(cache)
    lines: list[str] = []
    state = fetch(lines.append)
    assert (state.bad, state.missing) == ([], damaged)
    assert sorted(tree(cache)) == sorted(set(NAMES) - set(damaged))
    assert not os.path.lexists(cache / "js" / "layout_bin_packer.js")


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_machine_without_npm_and_network(cache: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    result = invoke("fetch")
    assert time.monotonic() - started < 60
    assert result.exit_code == 1
    *lines, last = result.stderr.splitlines()
    assert lines == ["npm: not installed"]
    assert last == f"Error: some files for Visdom's page could not be fetched: {', '.join(NAMES)}. {ASSET_HELP}"
    assert not cache.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_cache_that_cannot_be_a_folder(files: Path, cache: Path) -> None:
    cache.write_text("")
    result = invoke("fetch", "--from", files)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {cache}: cannot be filled (")
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("offline")
def test_two_processes_fetch_at_a_time(
    files: Path,
    cache: Path,
    bin_folder: Path,
    tmp_path: Path,
    start: Start,
) -> None:
    npm_that(bin_folder, f"/bin/cp {tarballs(tmp_path / 'packages', tree(files))}/* .\n")
    shutil.copytree(files, cache)
    damage(cache)
    shutil.rmtree(cache / "fonts")
    both = [start("-c", "from monitor.cli import main; main()", "assets", "fetch") for _ in range(2)]
    for process in both:
        assert process.communicate(timeout=200) == (f"18 files in {cache}\n", "")
        assert process.returncode == 0
    assert tree(cache) == tree(files)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_dir() == cache
    monkeypatch.delenv("MONITOR_ASSETS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().parts[-2:] == ("training-monitor", "visdom-assets")
