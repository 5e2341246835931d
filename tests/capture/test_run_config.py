"""`log.config`: settings that are added during the run reach `run.json` and every sink, from wherever they come."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

from monitor import Logger, MemorySink, reopen
from monitor.events.reading.reader import read_history
from monitor.records import Config
from monitor.runs.run_file import read_run_file
from monitor.testing import wait_until
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def recorded(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = read_run_file(path)["config"]
    return config


def shown(memory: MemorySink) -> list[Mapping[str, Any]]:
    return [record.values for record in memory.of(Config)]


def test_settings_during_the_run(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "run", ["tensorboard", memory], {"lr": 0.1}) as log:
        log.config.update({"model": {"layers": 3}, "lr": 0.2}, seed=1, lr=0.3)
        log.config["hub"] = {"token": "abc"}
        log.config["lr"] = 0.3  # known: nothing is logged
        log.config.update()
        wanted = {"lr": 0.3, "model.layers": 3, "seed": 1, "hub.token": "***"}
        assert dict(log.config) == log.run.config == wanted
        assert (log.config["lr"], log.config.get("none"), "seed" in log.config, len(log.config)) == (0.3, None, True, 4)
        assert repr(log.config) == f"RunConfig({wanted!r})"
        wait_until(lambda: recorded(log.run.path) == wanted, 60, "run.json to have the settings")
    assert recorded(log.run.path) == wanted
    first = {"lr": 0.1}
    second = {"lr": 0.3, "model.layers": 3, "seed": 1}
    assert shown(memory) == [first, second, wanted]
    records = [r for records in read_history(log.run.path) for r in records if isinstance(r, Config)]
    assert records[-1].values == wanted
    assert "model.layers: 3" in event_reader.text(log.run.path, "config")[-1]


def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "run", [memory], {"lr": 0.1}) as log:
        with pytest.raises(TypeError, match=r"^config is a mapping of names to values, a namespace, or .*, not int$"):
            log.config.update(3)
        with pytest.raises(ValueError, match=r"^config has two settings that are 'a\.b': "):
            log.config.update({"lr": 0.2, "a": {"b": 1}, "a.b": 2})
        loop: dict[str, Any] = {}
        loop["me"] = loop
        with pytest.raises(ValueError, match=r"^config\['x'\]\['me'\] contains itself$"):
            log.config["x"] = loop
        log.config["big"] = "x" * 6_000_000
        with pytest.raises(ValueError, match="is too large: more than 8 MiB"):
            log.config["as big"] = "x" * 6_000_000
        assert set(log.config) == set(log.run.config) == {"lr", "big"}
    with pytest.raises(RuntimeError, match="this logger is closed"):
        log.config["lr"] = 0.2
    assert set(recorded(log.run.path)) == {"lr", "big"}
    assert recorded(log.run.path)["lr"] == 0.1


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "run", [memory]) as log:
        start = threading.Barrier(8)

        def add(thread: int) -> None:
            start.wait()
            for number in range(50):
                log.config[f"{thread}.{number}"] = number

        threads = [threading.Thread(target=add, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wanted = {f"{thread}.{number}": number for thread in range(8) for number in range(50)}
    assert dict(log.config) == log.run.config == recorded(log.run.path) == wanted
    assert shown(memory)[-1] == wanted


def test_a_resumed_run_goes_on_with_all_settings(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"], {"lr": 0.1}) as log:
        log.config["found"] = {"batch": 16}
        log.scalar("loss", 1.0, 0)
        assert log.checkpoint("c", 0)
    memory = MemorySink()
    with Logger(reopen(tmp_path / "run", "c", 0), ["tensorboard", memory]) as log:
        assert dict(log.config) == {"lr": 0.1, "found.batch": 16}
        log.config["seed"] = 3
    wanted = {"lr": 0.1, "found.batch": 16, "seed": 3}
    assert recorded(log.run.path) == shown(memory)[-1] == wanted


def test_a_rank_that_logs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Logger(tmp_path / "run", ["tensorboard"], {"lr": 0.1}) as log:
        log.config["seed"] = 3
        assert log.config == log.run.config == {"lr": 0.1, "seed": 3}
        with pytest.raises(TypeError):
            log.config.update("x")
    assert not log.run.path.exists()


def in_a_fork(action: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_settings_of_a_child(tmp_path: Path, start: str) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "run", [memory], {"lr": 0.1}, children="forward") as log:
        early = pickle.loads(pickle.dumps(log))  # as a spawned process gets it; its settings grow old
        log.config["lr"] = 0.5
        if start == "fork":
            assert in_a_fork(lambda: log.config.update({"worker": {"password": "x", "batch": 4}})) == 0
        else:
            early.config.update({"worker": {"password": "x", "batch": 4}})
            assert early.run.config == {"lr": 0.1, "worker.password": "***", "worker.batch": 4}
            assert early.stats().calls == 1
            early.close()
        wanted = {"lr": 0.5, "worker.password": "***", "worker.batch": 4}
        wait_until(lambda: dict(log.config) == wanted, 60, "the settings of the child")
        assert log.run.config == wanted
    assert recorded(log.run.path) == shown(memory)[-1] == wanted


def test_a_child_that_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Logger(tmp_path / "run", [], {"lr": 0.1}) as log:
        null = pickle.loads(pickle.dumps(log))
        with caplog.at_level(logging.WARNING, "monitor"):
            null.config["seed"] = 3
        assert null.config == null.run.config == {"lr": 0.1, "seed": 3}
        assert "logging from a child process is ignored" in caplog.text
    assert recorded(log.run.path) == {"lr": 0.1}


@pytest.mark.parametrize("kind", ["Logger", "NullLogger", "ForwardingLogger"])
def test_settings_are_added_not_replaced(tmp_path: Path, kind: str) -> None:
    with Logger(tmp_path / "run", [], {"lr": 0.1}, children="forward" if kind == "ForwardingLogger" else "off") as log:
        other: Any = log if kind == "Logger" else pickle.loads(pickle.dumps(log))
        assert type(other).__name__ == kind
        with pytest.raises(AttributeError, match=r"^log.config cannot be replaced; use log.config.update\(...\) to"):
            other.config = {"a": 1}
        other.config |= {"model": {"layers": 2}}
        assert dict(other.config) == {"lr": 0.1, "model.layers": 2}
        other.close()
    if kind != "NullLogger":
        assert recorded(log.run.path) == {"lr": 0.1, "model.layers": 2}
