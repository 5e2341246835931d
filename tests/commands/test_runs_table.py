"""The table of `monitor runs`: one line a run at any width, what fits, and runs that other programs wrote."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console
from tensorboardX import SummaryWriter

from monitor.cli import main
from monitor.commands.listing.runs_table import runs_table
from monitor.runs.listing import RunInfo, load
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.run_file import timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

METRICS = {
    "test/accuracy": {"last": 0.91234567, "step": 9, "best": 0.95, "best_step": 5, "goal": "max"},
    "test/loss": {"last": 0.31234567, "step": 9, "best": 0.0755, "best_step": 5, "goal": "min"},
    "train/loss": {"last": 0.3, "step": 9, "best": 0.0755, "best_step": 5, "goal": "min"},
}


def write(folder: Path, name: str, **fields: Any) -> RunInfo:
    (folder / name).mkdir(parents=True)
    progress = {"epoch": 5, "epochs": 10, "step": 1500, "steps": 3000}
    whole = {
        "name": name, "status": "finished", "start": timestamp(time.time() - 60), "end": timestamp(time.time() - 20),
        "config": {}, "metrics": METRICS, "progress": progress, **fields,
    }  # fmt: skip
    (folder / name / "run.json").write_text(json.dumps(whole))
    return load(folder / name)


def table(infos: list[RunInfo], width: int, height: int | None = None, metrics: tuple[str, ...] = ()) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(runs_table(infos, metrics, width, height))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_run_has_one_line_at_any_width(tmp_path: Path, width: int) -> None:
    runs = [write(tmp_path, f"a-name-of-more-than-thirty-characters-{n}") for n in range(5)]
    lines = table(runs, width)
    assert len(lines) == 2 + len(runs)
    assert all(len(line) <= width for line in lines)
    assert len({line.split()[0] for line in lines[2:]}) == 5, "names that are cut still differ"
    assert width < 60 or "0.9123" in lines[2]
    runs = [write(tmp_path, f"experiment-with-lr-0.0{n}-and-the-same-long-end-of-the-name") for n in range(5)]
    runs += [
        write(tmp_path, f"\u5b9f\u9a13\u306e\u9577\u3044\u540d\u524d-{n}-\u304c\u540c\u3058\u7d42\u308f\u308a")
        for n in range(3)
    ]
    lines = table(runs, width)
    assert all(cell_len(line) <= width for line in lines)
    assert len({line.split()[0] for line in lines[2:]}) == 8, "names that differ in the middle, too"


def test_the_columns_have_the_names_of_filters(tmp_path: Path) -> None:
    run = write(tmp_path, "mlp")
    wide = table([run], 200)
    top, bottom = (line.split() for line in wide[:2])
    assert top == ["test/", "best:test/", "test/", "best:test/", "train/", "best:train/"]
    assert bottom == [
        "name", "status", "epoch", "step", *["accuracy"] * 2, *["loss"] * 4, "duration", "age",
    ]  # fmt: skip
    names = {"name", "status", "epoch", "step", "duration", "age", "test/accuracy", "best:train/loss"}
    assert names <= run.names()
    assert "0.3\n" not in table([run], 80, metrics=("train/loss",))
    assert [line for line in table([run], 50, metrics=("train/loss",)) if "train/" in line]


def test_as_many_as_fit(tmp_path: Path) -> None:
    runs = [
        write(tmp_path, f"r{n:02}", **({"status": "failed", "error": "E " * 99} if n < 9 else {})) for n in range(30)
    ]
    lines = table(runs, 80, height=23)
    assert len(lines) == 23
    assert lines[15] == "… 17 more"
    assert [line[:4] for line in lines[2:15]] == [f"r{n:02} " for n in range(13)]
    assert [line[:4] for line in lines[16:]] == [f"r{n:02}:" for n in range(7)], "told is what the shown runs lack"
    assert all(len(line) <= 80 for line in lines)
    assert len(table(runs[:9], 80, height=23)) == 2 + 9 + 7


def test_runs_of_other_programs_are_listed_and_followed(tmp_path: Path) -> None:
    write(tmp_path, "ours")
    for folder in (tmp_path / "theirs" / "a", tmp_path / "ours" / "part-of-ours"):
        writer = SummaryWriter(str(folder))
        for step in range(5):
            writer.add_scalar("val/loss", 1.0 / (step + 1), step)
        writer.close()
    found = CliRunner().invoke(main, ["runs", str(tmp_path), "--json"])
    ours, theirs = json.loads(found.stdout)
    assert (ours["name"], theirs["name"], theirs["status"]) == ("ours", "theirs/a", "foreign")
    assert theirs["metrics"]["val/loss"] == {
        "last": pytest.approx(0.2), "step": 4, "best": pytest.approx(0.2), "best_step": 4, "goal": "min",
    }  # fmt: skip
    assert theirs["progress"] == {"step": 4}
    assert theirs["age"] < 60
    filtered = CliRunner().invoke(main, ["runs", str(tmp_path), "--filter", "status==foreign and val/loss<0.3"])
    assert "theirs/a" in filtered.stdout
    assert "ours" not in filtered.stdout

    found_runs = FoundRuns(tmp_path)
    assert [run.progress["step"] for run in found_runs() if run.name == "theirs/a"] == [4]
    writer = SummaryWriter(str(tmp_path / "theirs" / "a"), filename_suffix=".more")
    writer.add_scalar("val/loss", 0.01, 9)
    writer.close()
    _, run = found_runs()
    assert (run.progress["step"], run.look_up("best:val/loss")) == (9, pytest.approx(0.01))


def on_terminal(start: Start, lines: int, *arguments: object) -> str:
    """Return what `monitor runs` writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    listing = start("-m", "monitor", "runs", *map(str, arguments), fresh=True, stdin=theirs, stdout=theirs,
                    stderr=theirs, env={**environment, "TERM": "xterm"})  # fmt: skip
    os.close(theirs)
    written = b""
    with suppress(OSError):  # how the end shows
        while piece := os.read(ours, 65536):
            written += piece
    os.close(ours)
    assert listing.wait(60) == 0, written
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written.decode()).replace("\r", "")


def test_a_terminal_gets_a_page_and_a_pipe_gets_all(tmp_path: Path, start: Start) -> None:
    for number in range(60):
        began = timestamp(1e9 + 60 * number)
        fields = {"status": "failed", "error": "OSError: disk"} if number == 59 else {}
        config = {"title": "\x1b]0;gone\x07"} if number == 0 else {}
        write(tmp_path, f"r{number:02}", start=began, metrics={"test/loss": {**METRICS["test/loss"], "last": number}},
              config=config, **fields)  # fmt: skip
    page = on_terminal(start, 20, tmp_path).splitlines()
    assert len(page) == 19, "and a line for the prompt"
    assert page[0] == "… 45 earlier; --all shows them"
    assert [line[:3] for line in page[3:]] == [f"r{number}" for number in range(45, 60)] + ["r59"]
    assert page[-1] == "r59: OSError: disk"
    assert r"\u001b]0;gone\u0007" in on_terminal(start, 20, tmp_path, "--csv"), "commands of a terminal are text there"
    best = on_terminal(start, 20, tmp_path, "--sort", "test/loss").splitlines()
    assert [line[:3] for line in best[2:-1]] == [f"r{number:02}" for number in range(len(best) - 3)]
    assert best[-1] == f"… {60 - len(best) + 3} more"
    whole = on_terminal(start, 20, tmp_path, "--all").splitlines()
    assert [line[:3] for line in whole[2:-1]] == [f"r{number:02}" for number in range(60)]
    five = on_terminal(start, 20, tmp_path, "--limit", "5").splitlines()
    assert five[0] == "… 55 earlier; --all shows them"
    assert [line[:3] for line in five[3:-1]] == ["r55", "r56", "r57", "r58", "r59"]

    def piped(*arguments: str) -> str:
        return CliRunner().invoke(main, ["runs", str(tmp_path), *arguments]).stdout

    assert len(piped().splitlines()) == 2 + 60 + 1
    assert [run["name"] for run in json.loads(piped("--limit", "2", "--json"))] == ["r58", "r59"]
    rows = piped("--limit", "2", "--sort", "-test/loss", "--csv").splitlines()
    assert [line[:3] for line in rows[1:]] == ["r59", "r58"]
    assert json.loads(piped("--json", "--filter", "test/loss>99")) == []
    refused = CliRunner().invoke(main, ["runs", str(tmp_path), "--limit", "2", "--all"])
    assert (refused.exit_code, "--all excludes --limit and --watch" in refused.stderr) == (2, True)


def test_the_folder_may_be_an_option_as_with_other_commands(tmp_path: Path) -> None:
    write(tmp_path, "a", status="finished", start="2026-01-01T00:00:00+00:00")
    listed = [CliRunner().invoke(main, ["runs", *given, str(tmp_path), "--json"]) for given in ([], ["--logdir"])]
    assert [json.loads(result.stdout)[0]["name"] for result in listed] == ["a", "a"]
    both = CliRunner().invoke(main, ["runs", str(tmp_path), "--logdir", str(tmp_path)])
    assert (both.exit_code, both.stderr) == (2, "Error: LOGDIR and --logdir are the same; give one of them.\n")


def test_hostile_names_take_one_line(tmp_path: Path) -> None:
    names = ["a\tb", "line\nbreak", "\u202eoverride", "\x1b[31mred", "漢字" * 20, "e\u0301" * 30]
    runs = [write(tmp_path, name, tags=["x\ny"]) for name in names]
    lines = table(runs, 60)
    assert len(lines) == 2 + len(names)
    assert all(cell_len(line) <= 60 for line in lines)
    assert not set("\x1b\t\u202e") & set("".join(lines))
