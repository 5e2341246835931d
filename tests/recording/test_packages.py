"""The list of installed packages: one line each, and no secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from monitor.recording.packages import mask_credentials

if TYPE_CHECKING:
    from pathlib import Path

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
