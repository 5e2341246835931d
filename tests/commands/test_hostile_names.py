"""Names are shown as text: no markup is read, nothing vanishes, and no command reaches the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main
from monitor.runs.run_file import RUN_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

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


def test_a_path_in_an_error_is_text(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["replay", str(tmp_path / "none\x1b[31m"), "--sink", "console"])
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


# A script of one's own, without and with a handler of one's own.
SCRIPT = """
import logging, sys
from monitor import Logger
if sys.argv[2] == "handler":
    logging.basicConfig(level="INFO")
with Logger(sys.argv[1], ["console"], record="none") as log:
    log.scalar("loss\x1b[31m", float("nan"), 0)
    log.text("note\x9b1m", "\x1b]0;gone\x07", 0)
"""


@pytest.mark.parametrize("handler", ["handler", "none"])
def test_an_alert_in_a_script_is_text(tmp_path: Path, start: Start, handler: str) -> None:
    process = start("-c", SCRIPT, str(tmp_path / "run\x1b[41m"), handler, fresh=True)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert r"loss\u001b[31m is nan" in err
    assert (r"run\u001b[41m: finished" in err) == (handler == "handler")
    assert not set(out + err) & {"\x1b", "\x07", "\x9b"}
