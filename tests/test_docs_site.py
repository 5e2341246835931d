"""`docs/check_links.py` finds what is wrong with a site, and the architecture page names files that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "check_links.py"


def check(site: Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(site)], capture_output=True, text=True, timeout=200)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def write(site: Path, **pages: str) -> None:
    for name, body in pages.items():
        (site / f"{name}.html").write_text(f"<html><body>{body}</body></html>")


def test_a_site_in_order_passes(tmp_path: Path) -> None:
    write(
        tmp_path,
        index='<a href="guide.html#start">guide</a> <a href="https://example.org/">elsewhere</a> <a href="#">top</a>',
        guide='<h1 id="start">Start</h1> <a href="index.html">home</a> <img src="data:image/png;base64,">',
    )
    status, lines = check(tmp_path)
    assert status == 0
    assert lines == [f"{tmp_path / 'index.html'}: all links lead somewhere"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        index='<a href="guide.html#end">guide</a> <a href="gone.html">gone</a> <img src="lost.png">',
        guide='<script src="https://example.org/script.js"></script>',
        orphan='<a href="index.html">home</a>',
    )
    status, lines = check(tmp_path)
    assert status == 1
    assert sorted(lines) == [
        "guide.html: loads https://example.org/script.js from another host",
        "index.html: gone.html does not exist",
        "index.html: guide.html#end has no such anchor",
        "index.html: lost.png does not exist",
        "orphan.html: no page links to it",
    ]


def test_the_architecture_page_names_files_that_exist() -> None:
    named = set(re.findall(r"`([\w/]+\.(?:py|js))`", (ROOT / "docs" / "architecture.md").read_text()))
    files = [
        path.as_posix() for path in ROOT.rglob("*.*") if path.suffix in (".py", ".js") and ".venv" not in path.parts
    ]
    assert len(named) > 10
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in files)] == []
