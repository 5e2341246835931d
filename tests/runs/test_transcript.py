"""A program's output as lines of text, and the bounded file that holds them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.live import Live

from monitor.runs.output.file import OutputFile
from monitor.runs.output.transcript import PENDING_LINES, Transcript

if TYPE_CHECKING:
    from pathlib import Path


def shown(*chunks: str | bytes) -> str:
    transcript = Transcript()
    for chunk in chunks:
        transcript.feed(0, chunk.encode() if isinstance(chunk, str) else chunk)
    return transcript.take_final() + transcript.pending()


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        (("one\n", "two"), "one\ntwo\n"),
        (("a\r\nb\r\n",), "a\nb\n"),
        (("a\r", "\nb"), "a\nb\n"),
        (("\r 10%|#    |", "\r 90%|#### |", "\r100%|#####|\n", "next\n"), "100%|#####|\nnext\n"),
        (("long line\rshort\n",), "shortline\n"),
        (("long line\r\x1b[Kshort\n",), "short\n"),
        (("\x1b[1;31mred\x1b[0m\x1b]8;;http://a\x1b\\link\x1b]8;;\x07\a\n",), "redlink\n"),
        (("\x1b[3", "1mred\x1b", "[0m!\n"), "red!\n"),
        (("first\nsecond\n\x1b[2Afixed\x1b[K\n",), "fixed\nsecond\n"),
        (("abc\b\bX\n",), "aXc\n"),
        (("caf\xe9".encode()[:-1], "caf\xe9".encode()[-1:]), "café\n"),
        ((b"\xff\n",), "\ufffd\n"),
        (("\x1b[999999999999999999999A" + "\x1b[5;5Hx\n",), "x\n"),
        (("\n\n", "x"), "\n\nx\n"),
    ],
)
def test_what_a_terminal_would_show(chunks: tuple[str | bytes, ...], text: str) -> None:
    assert shown(*chunks) == text


def test_chunks_do_not_matter() -> None:
    data = "start\n\x1b[32m50%\x1b[0m\r\x1b[2K100%\n\u20ac\nlast\x1b[1A\rLAST\x1b[B\n".encode()
    assert shown(*(data[at : at + 1] for at in range(len(data)))) == shown(data)


def test_the_bars_of_rich_leave_their_last_state() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=40)
    with Live(console=console, auto_refresh=False) as live:
        for number in range(5):
            live.update(f"epoch {number}\nstep {number}", refresh=True)
            console.print(f"note {number}")
    assert shown(file.getvalue()).split("\n") == [*(f"note {number}" for number in range(5)), "epoch 4", "step 4", ""]


def test_lines_of_two_streams_stay_apart_and_in_order() -> None:
    transcript = Transcript(2)
    for stream, text in ((0, "out 1\n"), (1, "bar 10%"), (0, "out 2\n"), (1, "\rbar 20%"), (0, "out 3\n")):
        transcript.feed(stream, text.encode())
    assert transcript.pending() == "out 1\nbar 20%\nout 2\nout 3\n"


@pytest.mark.parametrize("lines_at_once", [1, 7, 1000])
def test_old_lines_become_final(lines_at_once: int) -> None:
    transcript = Transcript(2)
    transcript.feed(1, b"unfinished")
    lines = [f"line {number}\n" for number in range(3000)]
    final = ""
    for at in range(0, len(lines), lines_at_once):
        transcript.feed(0, "".join(lines[at : at + lines_at_once]).encode())
        final += transcript.take_final()
        assert transcript.pending().count("\n") <= 2 * PENDING_LINES + lines_at_once % 1000
    transcript.feed(1, b" end\n")
    transcript.end()
    text = final + transcript.take_final()
    assert [line for line in text.splitlines(keepends=True) if line.startswith("line")] == lines
    assert [line for line in text.splitlines() if not line.startswith("line")] == ["unfinished", " end"]


def test_a_line_without_end_is_broken() -> None:
    transcript = Transcript()
    for _ in range(100):
        transcript.feed(0, b"x" * 12_345)
    assert transcript.pending().replace("\n", "") + transcript.take_final().replace("\n", "") == "x" * 1_234_500
    assert max(map(len, transcript.pending().splitlines())) <= 10_000


def test_the_file_is_current_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    file = OutputFile(path, 4000)
    file.write("first\n", "50%\n")
    assert path.read_text() == "first\n50%\n"
    for number in range(5000):
        file.write(f"line {number}\n", "pending\n")
        assert path.stat().st_size < 4100
    file.write("", "")
    lines = path.read_text().splitlines()
    assert lines[:3] == ["first", "line 0", "line 1"]
    assert lines[-1] == "line 4999"
    (note,) = [line for line in lines if "left out" in line]
    missing = int(note.split()[0].strip("[").replace(",", ""))
    written = len("first\n" + "".join(f"line {number}\n" for number in range(5000)))
    assert missing == written - (path.stat().st_size - len(note) - 1)
    file.close()


def test_the_file_moves_behind_what_is_there(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "output.log")
    file.write("new\n", "50%\n")
    (tmp_path / "other.log").write_text("earlier\n")
    file.move(tmp_path / "other.log")
    file.write("newer\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["other.log"]
    assert (tmp_path / "other.log").read_text() == "earlier\nnew\nnewer\n"
    with pytest.raises(OSError):
        file.move(tmp_path / "missing" / "output.log")
    file.write("last\n", "")
    assert (tmp_path / "other.log").read_text().endswith("newer\nlast\n")
    file.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "output.log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        OutputFile(tmp_path / "output.log")
    assert not (tmp_path / "target").exists()
