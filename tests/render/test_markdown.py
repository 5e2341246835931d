"""Markdown as HTML: what is rendered, what stays text, and what reaches the event file and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import Logger, MemorySink, Text
from monitor.events.reading.reader import read_history
from monitor.render.text.markdown import MAX_CHARS, to_html
from monitor.sinks.visdom.record_windows import texts
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

LINK = 'target="_blank" rel="noopener noreferrer nofollow"'


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**a** *b* `c` ~~d~~", "<p><strong>a</strong> <em>b</em> <code>c</code> <s>d</s></p>"),
        ("<b onclick=x>a</b>", "<p>&lt;b onclick=x&gt;a&lt;/b&gt;</p>"),
        ("[a](javascript:x)", "<p>[a](javascript:x)</p>"),
        ("[a](/delete)", "<p>[a](/delete)</p>"),
        ("[a](vbscript:x)", "<p>[a](vbscript:x)</p>"),
        ("![a](data:image/png;base64,AA==)", "<p>![a](data:image/png;base64,AA==)</p>"),
        ("[a](mailto:a@b.c)", f'<p><a href="mailto:a@b.c" {LINK}>a</a></p>'),
        ('![a"<](https://b/c?d="e&f)', f'<p><a href="https://b/c?d=%22e&amp;f" {LINK}>a&quot;&lt;</a></p>'),
        ("![](https://b/c)", f'<p><a href="https://b/c" {LINK}>https://b/c</a></p>'),
        ("a\x00\u202eb", "<p>a\\u0000\\u202eb</p>"),
        ("a\r\n\r\nb", "<p>a</p>\n<p>b</p>"),
        ("3. a", '<ol start="3" style="padding-left:22px">\n<li>a</li>\n</ol>'),
        ("- a", '<ul style="padding-left:22px">\n<li>a</li>\n</ul>'),
        ("## a", '<h2 style="font-size:19px;font-weight:600;text-align:left;margin:8px 0 4px">a</h2>'),
        ("", ""),
    ],
)
def test_html(markdown: str, html: str) -> None:
    assert to_html(markdown).strip() == html


def test_a_text_that_is_too_long_is_shown_as_it_is() -> None:
    assert to_html("<*a*> " * MAX_CHARS).startswith("<pre>&lt;*a*&gt; &lt;*a*")
    assert to_html("> " * 5000)


def test_texts_of_both_kinds_share_a_window() -> None:
    window = texts("notes", [Text("notes", "<b>", 1, 0.0), Text("notes", "**b**", 2, 0.0, markdown=True)])
    (content,) = (part["content"] for part in window["data"])
    assert content.index("step 2") < content.index("<strong>b</strong>") < content.index("step 1")
    assert "&lt;b&gt;</pre>" in content


def test_it_comes_back_from_the_event_file(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "run", ["tensorboard", memory]) as log:
        log.text("a", "# head", markdown=True)
        log.text("a", "# plain")
        with pytest.raises(TypeError, match="markdown must be True or False, not 'yes'"):
            log.text("a", "b", markdown="yes")  # type: ignore[arg-type]
    logged = [record for record in memory.records if isinstance(record, Text)]
    assert [record.markdown for record in logged] == [True, False]
    found = [r for records in read_history(tmp_path / "run") for r in records if isinstance(r, Text)]
    assert found == logged
    assert event_reader.text(tmp_path / "run", "a") == ["# head", "# plain"]
