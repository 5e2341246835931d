from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.integrations.hydra import current_logger
from tests.support import event_reader
from tests.support.framework_scripts import run_script
from tests.support.logged_runs import ending, run_file
from tests.support.snippets import section

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

SCRIPT = """
import sys
import hydra
from omegaconf import OmegaConf

sys.argv += ["hydra/job_logging=none", "hydra/hydra_logging=none", {arguments}
    "+hydra.callbacks.monitor._target_=monitor.integrations.hydra.MonitorCallback"]

@hydra.main(version_base=None, config_path=None)
def job(config):
    if config.get("fails"):
        raise ArithmeticError("out of luck")
    return {result}

job()
"""


def test_a_job_is_a_run_without_an_import_in_the_script(start: Start, tmp_path: Path) -> None:
    code = SCRIPT.format(arguments='"+model.layers=[4, 2]", "+lr=0.1", "+rate=${lr}",', result="0.25")
    status, errors = run_script(start, tmp_path, code)
    assert status == 0, errors
    run = tmp_path / "runs" / "script"
    assert run_file(run)["config"] == {"model.layers": [4, 2], "lr": 0.1, "rate": 0.1}
    assert event_reader.series(run, "result/value") == [(0, 0.25)]
    assert ending(run) == ("finished", None)


def test_a_job_that_raises_is_a_failed_run(start: Start, tmp_path: Path) -> None:
    status, _ = run_script(start, tmp_path, SCRIPT.format(arguments='"+fails=true",', result="None"))
    assert status == 1
    assert ending(tmp_path / "runs" / "script") == ("failed", "ArithmeticError: out of luck")


def test_each_job_of_a_multirun_is_a_run(start: Start, tmp_path: Path) -> None:
    arguments = '"hydra.mode=MULTIRUN", "+lr=0.1,0.5", "hydra.job.chdir=true",'
    status, errors = run_script(start, tmp_path, SCRIPT.format(arguments=arguments, result='{"f1": config.lr}'))
    assert status == 0, errors
    runs = [tmp_path / "runs" / "script" / str(number) for number in range(2)]
    assert [run_file(run)["config"]["lr"] for run in runs] == [0.1, 0.5]
    assert [event_reader.series(run, "result/f1") for run in runs] == [[(0, pytest.approx(0.1))], [(0, 0.5)]]


def test_there_is_no_logger_without_a_job() -> None:
    with pytest.raises(RuntimeError, match="no Hydra job"):
        current_logger()


def test_the_snippet_of_the_docs(start: Start, tmp_path: Path) -> None:
    status, errors = run_script(start, tmp_path, section("integrations.md", "Hydra"))
    assert status == 0, errors
    run = tmp_path / "runs" / "script"
    assert [step for step, _ in event_reader.series(run, "train/loss")] == list(range(10))
    assert dict(event_reader.series(run, "result/value")) == pytest.approx({0: 0.1 / 10})
