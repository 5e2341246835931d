"""The trials of a sweep in TensorBoard's HPARAMS, as its own server answers: a row each, with settings and metric."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from monitor import Logger
from monitor.runs.trials.trial import SWEEP_VARIABLE, Trial
from monitor.testing import wait_until
from tests.support.scripts import run_script, write_script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.servers import Served

SCRIPT = """
import sys
from monitor import SummaryWriter
with SummaryWriter() as writer:
    writer.add_scalar("test/accuracy", float(sys.argv[1]), 1)
"""


@pytest.mark.slow
def test_each_trial_is_a_row(tmp_path: Path, serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    logdir = tmp_path / "runs"
    for number in range(4):
        values = {"lr": 0.1 * (number + 1), "hidden": f"{number},{number}"}
        trial = Trial(
            "search", number, "test/accuracy", "max", values, logdir / "search.sweep", {"reduction_factor": 2}
        )
        environment = trial.to_environment()
        if number == 3:  # a script that knows nothing of all this, and of its settings
            write_script(tmp_path, SCRIPT)
            done = run_script(tmp_path, "--name", "search-3", "script.py", "0.9", MONITOR_SWEEP=environment)
            assert done.returncode == 0, done.stderr
            continue
        monkeypatch.setenv(SWEEP_VARIABLE, environment)
        with Logger(logdir / f"search-{number}", ["tensorboard"], {"lr": values["lr"], "seed": 1}) as log:
            log.scalar("test/accuracy", 0.9 - 0.1 * number, 1)
            if number:  # one that ended without having heard of the decision would be finished
                wait_until(lambda: log.should_stop, 60, "the decision to prune it")
    monkeypatch.delenv(SWEEP_VARIABLE)
    board = serve("tensorboard", "--logdir", str(logdir), "--port", "0")
    body = {
        "experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [
            {"hparam": "lr"}, {"hparam": "hidden"}, {"metric": {"group": "", "tag": "test/accuracy"}},
        ], "startIndex": 0, "sliceSize": 100,
    }  # fmt: skip

    def rows() -> list[dict[str, Any]]:
        request = urllib.request.Request(
            f"{board.url}/data/plugin/hparams/session_groups",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.loads(answer.read()).get("sessionGroups", [])
        return sorted(found, key=lambda group: str(group["sessions"][0]["name"]))

    wait_until(lambda: len(rows()) == 4 and all(row.get("metricValues") for row in rows()), 60, "four rows")
    found = rows()
    assert [row["sessions"][0]["name"] for row in found] == [f"search-{number}" for number in range(4)]
    assert [row["hparams"]["lr"] for row in found] == [0.1 * (number + 1) for number in range(4)]
    assert [row["hparams"]["hidden"] for row in found] == ["0,0", "1,1", "2,2", "3,3"]
    measured = [{m["name"]["tag"]: m["value"] for m in row["metricValues"]}["test/accuracy"] for row in found]
    assert measured == pytest.approx([0.9, 0.8, 0.7, 0.9])
    statuses = [row["sessions"][0]["status"] for row in found]
    assert statuses == ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_FAILURE", "STATUS_SUCCESS"]
