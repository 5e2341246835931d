"""Names are shown as text: no markup is read, nothing vanishes, and no command reaches the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor import Logger, MemorySink
from monitor.cli import main
from monitor.runs.run_file import RUN_FILE

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["[/]", "[top1]", "[bold red]x", "\x1b[31mred\x07", "a\x9bb", "[link=http://127.0.0.1]x[/link]"]


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_compare(tmp_path: Path, name: str) -> None:
    shown = name.replace("\x1b", "\\u001b").replace("\x07", "\\u0007").replace("\x9b", "\\u009b")
    for run, value in (("one", 1.0), ("two", 2.0)):
        with Logger(tmp_path / run, ["tensorboard"], {name: run}) as log:
            log.scalar(f"test/loss{name}", value, 0)
    file = tmp_path / "two" / RUN_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "status": "failed", "error": f"because {name}"}))
    (tmp_path / "two").rename(tmp_path / name.replace("/", "|"))
    for command in (["runs", str(tmp_path), "--metric", f"test/loss{name}"],
                    ["compare", "one", name.replace("/", "|"), "--logdir", str(tmp_path)]):  # fmt: skip
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        for text in (result.stdout, result.stderr):
            assert not set(text) & {"\x1b", "\x07", "\x9b"}
        flat = "".join(result.stdout.split())
        assert shown.replace("/", "|").replace(" ", "") in flat.replace("/", "|")


def test_an_alert_reaches_stderr_as_text(tmp_path: Path) -> None:
    script = ["replay", str(tmp_path / "none\x1b[31m"), "--sink", "console"]
    result = CliRunner().invoke(main, script)
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr
    with Logger(tmp_path / "run", [MemorySink()]) as log:
        log.scalar("loss\x1b[31m", float("nan"), 0)
    assert json.loads((tmp_path / "run" / RUN_FILE).read_text())["alerts"][0]["metric"] == "loss\x1b[31m"
