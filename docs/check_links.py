"""Check a built site: `python docs/check_links.py docs/_build/html`.

Every link, picture, script and style must lead to a file of the site, and to an anchor that is there; nothing is loaded
from another host; every page can be reached from the start page.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """The anchors of a page, and what it links to and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[tuple[str, bool]] = []  # each with whether a browser loads it by itself
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the anchors and the targets of one element."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif value and ((tag, name) in LOADED or (tag, name) == ("a", "href")):
                self.targets.append((value, tag != "a"))


def problems(root: Path) -> list[str]:
    """Return one line for each thing that is wrong with the site in `root`."""
    pages = {path: Page(path) for path in sorted(root.rglob("*.html"))}
    links: dict[Path, set[Path]] = {path: set() for path in pages}
    found = []
    for path, page in pages.items():
        for target, is_loaded in page.targets:
            parts = urlsplit(target)
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme or parts.netloc:
                if is_loaded and parts.scheme != "data":
                    found.append(f"{path.relative_to(root)}: loads {target} from another host")
            elif not there.is_file():
                found.append(f"{path.relative_to(root)}: {target} does not exist")
            elif there in pages:
                links[path].add(there)
                if parts.fragment and unquote(parts.fragment) not in pages[there].anchors:
                    found.append(f"{path.relative_to(root)}: {target} has no such anchor")
    unreached = set(pages) - reachable(root / "index.html", links)
    return found + [f"{path.relative_to(root)}: no page links to it" for path in sorted(unreached)]


def reachable(start: Path, links: dict[Path, set[Path]]) -> set[Path]:
    """Return the pages that links lead to, in any number of steps from `start`."""
    seen: set[Path] = set()
    waiting = {start}
    while waiting:
        path = waiting.pop()
        seen.add(path)
        waiting |= links[path] - seen
    return seen


def main() -> None:
    """Print what is wrong, and exit with status 1 where anything is."""
    root = Path(sys.argv[1]).resolve()
    found = problems(root)
    print("\n".join(found) or f"{root / 'index.html'}: all links lead somewhere")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
