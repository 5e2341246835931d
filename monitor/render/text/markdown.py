"""Markdown as HTML that does nothing: raw HTML is text, nothing is loaded from elsewhere, and links open a new page."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from monitor.render.text.escaping import escape_control_chars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt

MAX_CHARS = 20_000  # longer texts are shown as they are: parsing takes a worker's time
SAFE_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
HEADING_PX = (22, 19, 17, 15, 14, 13)
LINK_ATTRIBUTES = {"target": "_blank", "rel": "noopener noreferrer nofollow"}


@lru_cache(256)
def to_html(text: str) -> str:
    """Return HTML for Markdown (CommonMark with tables), in which pictures are links.

    Longer texts than `MAX_CHARS`, and what cannot be parsed, are returned as preformatted text.
    """
    plain = escape_control_chars(text.replace("\r\n", "\n"))
    if len(plain) <= MAX_CHARS:
        try:
            return str(_parser().render(plain))
        except (ValueError, RecursionError):  # hostile input must not cost the other texts
            pass
    return f"<pre>{html.escape(plain)}</pre>"


@lru_cache(1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 100}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: SAFE_LINK.match(url) is not None  # type: ignore[method-assign]
    rules: Any = parser.renderer.rules  # type: ignore[attr-defined]
    rules |= {"image": _picture, "link_open": _link, "table_open": _table, "heading_open": _heading}
    rules |= {"bullet_list_open": _list, "ordered_list_open": _list}
    return parser


def _picture(tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """Show a link in place of a picture: the page must not load anything from other hosts."""
    address = html.escape(str(tokens[index].attrs.get("src", "")))
    attributes = "".join(f' {name}="{value}"' for name, value in LINK_ATTRIBUTES.items())
    return f'<a href="{address}"{attributes}>{html.escape(tokens[index].content) or address}</a>'


def _link(tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    address = html.escape(str(tokens[index].attrs.get("href", "")))
    attributes = "".join(f' {name}="{value}"' for name, value in LINK_ATTRIBUTES.items())
    return f'<a href="{address}"{attributes}>'


def _heading(tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """Begin a heading that suits a small window; the page's own are large, centered, and thin."""
    level = int(tokens[index].tag[1:])
    return f'<h{level} style="font-size:{HEADING_PX[level - 1]}px;font-weight:600;text-align:left;margin:8px 0 4px">'


def _list(tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """Begin a list with room for its bullets, which the page has not."""
    start = tokens[index].attrs.get("start")
    first = f' start="{int(start)}"' if start is not None else ""
    return f'<{tokens[index].tag}{first} style="padding-left:22px">\n'


def _table(_tokens: Sequence[Any], _index: int, _options: Any, _env: Any) -> str:
    return '<table class="table table-condensed" style="width:auto">'
