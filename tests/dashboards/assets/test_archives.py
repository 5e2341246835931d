"""The files of Visdom's page go to other machines in a zip or a folder."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

from monitor.dashboards.assets.cache import ASSET_HELP, fetch, verify
from tests.support.asset_files import NAMES, invoke, tree, zipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("offline")
def test_export_and_import(files: Path, cache: Path, tmp_path: Path) -> None:
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


def test_a_source_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    (tmp_path / "cut.zip").write_bytes(b"PK\5\6" + b"\xff" * 18)
    for name, says in (("none", "does not exist"), ("text", "neither a folder nor a zip"), ("cut.zip", "zip")):
        result = invoke("fetch", "--from", tmp_path / name)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: {tmp_path / name}: ")
        assert says in result.stderr
        assert result.stderr.count("\n") == 1
