"""The files of Visdom's page, as sources deliver them, whole and damaged."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from monitor.cli import main
from monitor.dashboards.assets.cache import ASSETS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = sorted(asset.name for asset in ASSETS)

Proxy = Callable[[dict[str, bytes]], None]


def invoke(*arguments: object) -> Result:
    """Run `monitor assets`."""
    return CliRunner().invoke(main, ["assets", *map(str, arguments)])


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of all files under a folder, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    """Write a zip with this content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def npm_that(folder: Path, script: str) -> None:
    """Put a program `npm` into a folder: a shell script."""
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
