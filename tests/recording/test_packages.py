"""The list of installed packages: one line each, and no secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import psutil
from packaging.requirements import Requirement

from monitor.recording.packages import mask_credentials, package_list, record_packages

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SCRIPT = "from monitor.recording.packages import package_list; print(package_list(), end='')"


def install(folder: Path, name: str, origin: object = None, metadata: str = "") -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))


def test_each_installed_package_with_its_version_and_masked_origin(tmp_path: Path) -> None:
    secret = "https://user:s3cret@example.org/a.git"
    install(tmp_path, "from_git", {"url": secret, "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}})
    install(tmp_path, "from_url", {"url": "https://example.org/b.whl?token=s3cret", "archive_info": {}})
    install(tmp_path, "editable", {"url": "file:///home/me/s3cret", "dir_info": {"editable": True}})
    install(tmp_path, "local", {"url": "file:///home/me/s3cret.whl", "archive_info": {}})
    install(tmp_path, "damaged", metadata="\n")
    install(tmp_path, "numpy")  # the first on the path is the one that is imported
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert [str(Requirement(line.partition("  #")[0])) for line in lines] == [
        line.partition("  #")[0] for line in lines
    ]
    names = [line.partition("==")[0].lower() for line in lines]
    assert names == sorted(set(names))
    assert f"torch=={version('torch')}" in lines
    assert "numpy==1.0" in lines
    assert "from_git==1.0  # from https://***@example.org/a.git@c0ffee" in lines
    assert "from_url==1.0  # from https://example.org/b.whl?***" in lines
    assert "editable==1.0  # editable" in lines
    assert "local==1.0  # from a local file" in lines
    assert "damaged" not in done.stdout
    assert "s3cret" not in done.stdout


def test_masking_keeps_the_rest() -> None:
    assert mask_credentials("git+ssh://git@example.org:22/a") == "git+ssh://***@example.org:22/a"
    assert mask_credentials("https://example.org/a#frag") == "https://example.org/a"


def test_another_process_lists_what_this_one_would_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "only_on_this_path")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    recorded = record_packages(tmp_path, lambda: False)
    assert (tmp_path / recorded["packages"]["file"]).read_text() == package_list()
    assert "only-on-this-path==1.0" in package_list().replace("_", "-")


def test_a_run_that_ends_first_has_no_list_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "empty"), *sys.path])  # not listed before
    before = set(psutil.Process().children())
    assert record_packages(tmp_path, lambda: True) == {}
    assert not (tmp_path / "packages.txt").exists()
    assert set(psutil.Process().children()) <= before


def test_without_an_interpreter_to_start_the_list_is_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "empty"), *sys.path])
    monkeypatch.setattr(sys, "executable", None)
    recorded = record_packages(tmp_path, lambda: False)
    assert (tmp_path / recorded["packages"]["file"]).read_text() == package_list()
