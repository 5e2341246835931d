"""Runs that their peers prune: in one process, in a runner, in an unchanged script, and with many at the same time."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from monitor import Logger, Run, reopen
from monitor.records import Text
from monitor.runs.listing import load, scan
from monitor.runs.trials.rungs import Rungs
from monitor.runs.trials.trial import SWEEP_VARIABLE, Trial, current_trial
from monitor.sinks.memory import MemorySink
from monitor.testing import wait_until
from tests.support.scripts import run_script, write_script
from tests.support.train_command import invoke, train

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

RULE = "test/accuracy reduction_factor=2 peers=search"


def sweep(folder: Path, trial: int, **values: Any) -> dict[str, str]:
    """Return the environment of a trial."""
    settings = {"reduction_factor": 2}
    found = Trial("search", trial, "test/accuracy", "max", values, folder / "search.sweep", settings)
    return {SWEEP_VARIABLE: found.to_environment()}


def facts(run: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((run / "run.json").read_text())
    return fields


def test_a_run_that_does_not_keep_up_is_pruned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Logger(tmp_path / "good", [], prune=RULE) as log:
        log.scalar("test/accuracy", 0.9, 100)
    assert facts(tmp_path / "good")["status"] == "finished"
    memory = MemorySink()
    caplog.set_level("INFO")
    with Logger(tmp_path / "bad", ["tensorboard", memory], {"lr": 3}, prune=RULE) as log:
        assert not log.should_stop
        log.scalar("other", 0.1, 99)
        log.scalar("test/accuracy", 0.5, 100)
        wait_until(lambda: log.should_stop, 60, "the decision")
        log.scalar("test/accuracy", 0.99, 200)  # a loop may make some more steps
    found = facts(tmp_path / "bad")
    reason = "test/accuracy 0.5 at rung 0, step 100 is not the best of 2"
    assert (found["status"], found["error"]) == ("pruned", reason)
    assert found["sweep"] == {
        "name": "search", "trial": "bad", "metric": "test/accuracy", "goal": "max", "values": {},
        "prune": {
            "min_resource": 1, "reduction_factor": 2, "min_early_stopping_rate": 0, "bootstrap_count": 0,
            "resource": "values",
        },
    }  # fmt: skip
    assert [(text.tag, text.text, text.step) for text in memory.of(Text)] == [("pruned", reason, 100)]
    assert f"pruned: {reason}" in [record.getMessage() for record in caplog.records]
    listed = invoke("runs", tmp_path, "--filter", "status==pruned")
    assert "bad" in listed.stdout
    assert "good" not in listed.stdout
    assert reason not in listed.stdout, "it is no problem"


def test_a_run_that_ended_before_it_heard_of_a_decision_is_finished_and_a_failure_stays_one(tmp_path: Path) -> None:
    others, memory = Rungs(tmp_path / "search.sweep", "other"), MemorySink()
    others.add(0, 0.9)
    with Logger(tmp_path / "short", [memory], prune=RULE) as log:
        assert not log.should_stop
        log.scalar("test/accuracy", 0.5, 1)
    assert (facts(tmp_path / "short")["status"], facts(tmp_path / "short").get("error")) == ("finished", None)
    assert others.others(0) == [0.5], "its peers know its value all the same"
    log = Logger(tmp_path / "failed", [], prune=RULE)
    log.scalar("test/accuracy", 0.5, 1)
    wait_until(lambda: log.should_stop, 60, "the decision")
    log.close(status="failed", error="broken")
    assert (facts(tmp_path / "failed")["status"], facts(tmp_path / "failed")["error"]) == ("failed", "broken")


def test_a_trial_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Rungs(tmp_path / "search.sweep", "1").add(0, 0.9)
    for name, value in sweep(tmp_path, 2, lr=0.1, **{"weight-decay": 0.5, "api_key": "hf_x"}).items():
        monkeypatch.setenv(name, value)
    with Logger(tmp_path / "a", [], {"lr": 0.10, "seed": 3}) as log:
        log.scalar("test/accuracy", 0.5, 1)
        wait_until(lambda: log.should_stop, 60, "the decision")
    found = facts(tmp_path / "a")
    assert found["status"] == "pruned"
    assert (found["sweep"]["trial"], "is_best" in found["sweep"]) == (2, False)
    assert found["sweep"]["values"]["api_key"] == "***"
    assert Trial("s", 0, "a", "min", {}, tmp_path).fields() == {
        "name": "s", "trial": 0, "metric": "a", "goal": "min", "values": {},
    }  # fmt: skip
    assert found["config"] == {"lr": 0.1, "seed": 3, "weight-decay": 0.5, "api_key": "***"}
    with Logger(tmp_path / "b", [], prune="none") as log:
        log.scalar("test/accuracy", 0.5, 1)
    assert facts(tmp_path / "b")["status"] == "finished"
    monkeypatch.setenv(SWEEP_VARIABLE, '{"name": "x"}')
    with Logger(tmp_path / "c", []) as log:
        log.scalar("test/accuracy", 0.5, 1)
    assert "sweep" not in facts(tmp_path / "c")


GOOD = {"name": "s", "trial": 0, "metric": "a", "goal": "min", "values": {}, "folder": "/s.sweep"}


@pytest.mark.parametrize(
    "text",
    [
        "{", "null", "[]", "7", '"s"', "[" * 100_000,
        *(json.dumps({name: value for name, value in GOOD.items() if name != left_out}) for left_out in GOOD),
        json.dumps({**GOOD, "goal": "best"}), json.dumps({**GOOD, "trial": 1.5}), json.dumps({**GOOD, "trial": True}),
        json.dumps({**GOOD, "folder": "s.sweep"}), json.dumps({**GOOD, "folder": 3}),
        json.dumps({**GOOD, "values": []}), json.dumps({**GOOD, "prune": []}),
        json.dumps({**GOOD, "prune": {"reduction_factor": 1}}),
        json.dumps({**GOOD, "prune": {"min_resource": [1]}}), json.dumps({**GOOD, "metric": None}),
    ],
)  # fmt: skip
def test_a_variable_that_says_nothing_of_use_is_ignored(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, text)
    assert current_trial() is current_trial() is None
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    monkeypatch.setenv(SWEEP_VARIABLE, json.dumps(GOOD))
    trial = current_trial()
    assert trial is not None
    assert (trial.trial, str(trial.folder), trial.prune) == (0, "/s.sweep", None)


def test_secrets_are_not_even_in_the_first_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sweep(tmp_path, 3, api_key="s3cret", lr=0.1).items():
        monkeypatch.setenv(name, value)
    run = Run(tmp_path / "a")
    assert "s3cret" not in (tmp_path / "a" / "run.json").read_text()
    assert facts(tmp_path / "a")["sweep"]["values"].keys() == {"api_key", "lr"}
    with Logger(run, []):
        pass
    assert "s3cret" not in (tmp_path / "a" / "run.json").read_text()
    assert (facts(tmp_path / "a")["config"]["lr"], facts(tmp_path / "a")["sweep"]["trial"]) == (0.1, 3)


def test_a_resumed_run_counts_on(tmp_path: Path) -> None:
    rule = "loss min_resource=1 reduction_factor=2 peers=p"
    others = Rungs(tmp_path / "p.sweep", "other")
    with Logger(tmp_path / "a", ["tensorboard"], prune=rule) as log:
        for step in range(3):
            log.scalar("loss", 1.0, step)
        log.checkpoint("c", 3)
    assert others.others(1) == [1.0]  # the second value; the next rung is at the fourth
    others.add(2, 0.5)
    with Logger(reopen(tmp_path / "a", "c", 3), ["tensorboard"], prune=rule) as log:
        log.scalar("loss", 0.9, 3)
        wait_until(lambda: log.should_stop, 60, "the decision")
    assert facts(tmp_path / "a")["error"] == "loss 0.9 at rung 2, step 3 is not the best of 2"


def test_a_runner_is_pruned_and_resumed_only_without_the_rule(tmp_path: Path, small_mnist: Path) -> None:
    Rungs(tmp_path / "runs" / "search.sweep", "other").add(0, 1.1)
    result = train(tmp_path, small_mnist, "--epochs", 10_000, "--checkpoint-every", "epoch", "--prune", RULE)
    assert result.exit_code == 0, result.output
    reason = facts(tmp_path / "runs" / "a")["error"]
    assert "at rung 0, step 8 is not the best of 2" in reason
    assert f"Pruned: {reason}" in result.stdout
    resume = ("train", "mlp", "--resume", "a", "--logdir", tmp_path / "runs", "--trust-options", "--epochs", 10_000)
    refused = invoke(*resume)
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert f"was pruned ({reason}); to train it on all the same, add --prune none" in refused.stderr
    done = int(facts(tmp_path / "runs" / "a")["progress"]["step"]) // 8
    whole = invoke(*resume[:-1], done + 2, "--prune", "none")
    assert whole.exit_code == 0, whole.output
    assert facts(tmp_path / "runs" / "a")["status"] == "finished"
    wrong = train(tmp_path, small_mnist, "--prune", "test/accuracy")
    assert wrong.exit_code == 2
    assert "needs peers=NAME" in wrong.stderr


UNASKING = """
import time
from monitor import SummaryWriter
with SummaryWriter("logs") as writer:
    writer.add_scalar("test/accuracy", 0.5, 1)
    while True:
        time.sleep(0.01)
"""


def test_a_script_that_never_asks_is_interrupted(tmp_path: Path) -> None:
    write_script(tmp_path, UNASKING)
    Rungs(tmp_path / "runs" / "search.sweep", "other").add(0, 0.9)
    done = run_script(tmp_path, "--prune", RULE, "script.py")
    assert done.returncode == 0, done.stderr
    assert "Pruned: test/accuracy 0.5 at rung 0, step 1 is not the best of 2" in done.stderr
    assert facts(tmp_path / "logs")["status"] == "pruned"
    assert facts(tmp_path / "logs")["sweep"]["name"] == "search"


IGNORED = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def test_also_where_ctrl_c_is_ignored(tmp_path: Path) -> None:
    """As in the background of a shell, where a sweep may be."""
    write_script(tmp_path, IGNORED + UNASKING)
    Rungs(tmp_path / "search.sweep", "1").add(0, 0.9)
    done = run_script(tmp_path, "script.py", **sweep(tmp_path, 2, lr=0.1))
    assert done.returncode == 0, done.stderr
    found = facts(tmp_path / "logs")
    assert (found["status"], found["sweep"]["trial"], found["config"]) == ("pruned", 2, {"lr": 0.1})


TRIAL = """
import sys, time
from monitor import Logger
folder, trial, values = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Logger(f"{folder}/{trial}", []) as log:
    for step in range(values):
        log.scalar("test/accuracy", 1 / (trial + 1) + step / 1000, step)
        if log.should_stop:
            break
    else:
        print("waiting", flush=True)
        while not log.should_stop:
            time.sleep(0.01)
"""


@pytest.mark.slow
def test_many_processes_and_one_that_is_killed(tmp_path: Path, start: Start) -> None:
    """The best of eight goes on; what a process that is killed has told still counts; the others are pruned."""
    best = start("-c", TRIAL, str(tmp_path), "0", "4", env=sweep(tmp_path, 0))
    wait_until(lambda: Rungs(tmp_path / "search.sweep", "x").others(2), 60, "the best one's third rung")
    best.send_signal(signal.SIGKILL)
    best.wait(60)
    others = [start("-c", TRIAL, str(tmp_path), str(n), "40", env=sweep(tmp_path, n)) for n in range(1, 8)]
    for process in others:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    found = {info.name: info for info in scan(tmp_path)}
    assert load(tmp_path / "0").status == "lost"
    assert {name: str(info.status) for name, info in found.items() if name != "0"} == dict.fromkeys("1234567", "pruned")
    told = Rungs(tmp_path / "search.sweep", "x")
    assert sorted(told.others(0)) == [1 / (n + 1) for n in range(7, -1, -1)]
