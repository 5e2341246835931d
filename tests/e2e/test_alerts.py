"""Rules on metrics: each fires once, wherever the run is looked at, and may end it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor import Logger
from monitor.cli import main
from monitor.errors import AlertError
from monitor.records import Text
from monitor.rules.alerts import Rule, StallRule, parse_rule
from monitor.sinks.memory import MemorySink
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("text", "values", "at"),
    [
        ("a is nan", [1, INF, NAN, NAN], 2),
        ("a is inf", [1, NAN, -INF], 2),
        ("a is not finite", [1, -INF, NAN], 1),
        ("a > 3", [1, 3, 4, 5], 2),
        ("a<=-1e-3", [1, 0, -0.001], 2),
        ("a > 2 * best for 3", [1, 3, 3, 1.5, 3, 3, 3], 6),
        ("a > best * 2", [4, 2, 5], 2),
        ("a > best + 1", [4, 4.5, 5.5], 2),
        ("a < best - 0.5 for 2", [0.9, 0.3, 0.8, 0.3, 0.2], 4),
        ("a >= 0.5*best for 2", [1, 1, 1], 2),
        ("a == 3", [1, 2, 3], 2),
    ],
)
def test_rules(text: str, values: list[float], at: int) -> None:
    rule = parse_rule(text)
    assert isinstance(rule, Rule)
    assert rule.metric == "a"
    assert next(n for n, value in enumerate(values) if rule.fires(value)) == at


def test_stalls() -> None:
    assert [parse_rule(f"no progress for {text}") for text in ("90 seconds", "1 minute", "0.5 hours")] == [
        StallRule("no progress for 90 seconds", 90), StallRule("no progress for 1 minute", 60),
        StallRule("no progress for 0.5 hours", 1800),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "a", "a is bad", "a > ", "a > b", "a > 2 * best for 0", "no progress", "no progress for 0 seconds", "a >> 3"],
)
def test_what_is_no_rule_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(AlertError, match="accepted: ") as error:
        Logger(tmp_path / "a", [], alerts=[text])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_an_alert_is_told_once_everywhere(
    tmp_path: Path, visdom_server: VisdomServer, caplog: pytest.LogCaptureFixture
) -> None:
    memory = MemorySink()
    with Logger(
        tmp_path / "a",
        ["tensorboard", visdom_server.spec("a"), memory],
        alerts=["loss > 2 * best for 2", "typo is nan"],
    ) as log:
        for step, loss in enumerate([1.0, 3.0, 3.0, 5.0, 5.0, NAN, NAN, INF]):
            log.scalar("loss", loss, step)
        log.scalar("other", NAN, 9)
        assert not log.should_stop
    said = ["loss > 2 * best for 2: 3 at step 2", "loss is nan at step 5"]
    assert [(text.tag, text.text, text.step) for text in memory.of(Text)] == [
        ("alert", said[0], 2),
        ("alert", said[1], 5),
    ]
    assert event_reader.text(tmp_path / "a", "alert") == said
    assert all(line in visdom_server.windows("a")["alert"]["content"].replace("&gt;", ">") for line in said)
    facts = json.loads((tmp_path / "a" / "run.json").read_text())
    assert facts["status"] == "finished"
    assert [(alert["rule"], alert["step"], alert["value"]) for alert in facts["alerts"]] == [
        ("loss > 2 * best for 2", 2, 3.0), ("first NaN or infinity", 5, "nan"),
    ]  # fmt: skip
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [f"alert: {line}" for line in said] + ["alert 'typo is nan': nothing was logged under 'typo'"]


def test_rules_in_code(tmp_path: Path) -> None:
    rule = Rule("too wide", "a", lambda _, lowest, highest: highest - lowest > 5)
    with Logger(tmp_path / "a", [], alerts=[rule], stop_on_alert=True) as log:
        for step, value in enumerate([1.0, 7.0, 2.0]):
            log.scalar("a", value, step)
        wait_until(lambda: log.should_stop, 60, "the alert")
    facts = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (facts["status"], facts["error"]) == ("stopped", "too wide: 2 at step 2")


def test_an_alert_on_the_last_value_still_counts(tmp_path: Path) -> None:
    with Logger(tmp_path / "a", ["tensorboard"], alerts=["a > 3"], stop_on_alert=True) as log:
        log.scalar("a", 4.0, 0)
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "stopped"
    assert event_reader.text(tmp_path / "a", "alert") == ["a > 3: 4 at step 0"]


def test_a_runner_stops_at_the_first_alert(tmp_path: Path, small_mnist: Path) -> None:
    result = CliRunner().invoke(main, [
        "train", "mlp", "--data", "mnist", "--data-dir", str(small_mnist), "--logdir", str(tmp_path), "--name", "a",
        "--epochs", "10000", "--lr", "1e6", "--hidden", "16", "--sink", "console", "--stop-on-alert",
    ])  # fmt: skip
    assert result.exit_code == 1
    assert f"Stopped by an alert. The run so far is in {tmp_path / 'a'}" in result.stderr
    facts = json.loads((tmp_path / "a" / "run.json").read_text())
    assert facts["status"] == "stopped"
    assert facts["progress"]["epoch"] < 10000


HANGS = """
import sys, time
from monitor import Logger
with Logger(sys.argv[1], [], alerts=["no progress for 1 seconds"], stop_on_alert=True) as log:
    log.scalar("a", 1.0, 0)
    time.sleep(600)
"""


def test_a_loop_that_hangs_is_stopped_too(tmp_path: Path, start: Start) -> None:
    hanging = start("-c", HANGS, str(tmp_path / "a"))
    hanging.wait(200)
    facts = json.loads((tmp_path / "a" / "run.json").read_text())
    assert facts["status"] == "stopped"
    assert facts["error"] == "no progress for 1 seconds: the last step was 0"
