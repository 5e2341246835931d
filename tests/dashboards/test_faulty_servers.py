"""A server in trouble never holds up the training."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader
from tests.support.dashboards import mlp
from tests.support.servers import FaultyServer, VisdomServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fork_server import ForkServer
    from tests.support.processes import Start


pytestmark = pytest.mark.usefixtures("assets")


@pytest.fixture
def faulty_server(request: pytest.FixtureRequest, visdom_server: VisdomServer) -> Iterator[FaultyServer]:
    server = FaultyServer(request.param, visdom_server.port)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, small_mnist: Path, fork_server: ForkServer) -> Path:
    """Return a run without a Visdom server."""
    logdir = tmp_path_factory.mktemp("calm")
    process = fork_server.start(*mlp(small_mnist, logdir, "calm", *STEADY))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return logdir / "calm"


STEADY = ("--epochs", "20", "--sink", "tensorboard")


@pytest.mark.slow
@pytest.mark.parametrize("faulty_server", ["hang", "error", "drop"], indirect=True)
def test_a_server_in_trouble_changes_nothing(
    tmp_path: Path, small_mnist: Path, start: Start, faulty_server: FaultyServer, calm: Path
) -> None:
    sink = ("--sink", f"visdom://127.0.0.1:{faulty_server.port}/trouble")
    troubled = start(*mlp(small_mnist, tmp_path, "troubled", *STEADY, *sink))
    _, err = troubled.communicate(timeout=200)
    assert troubled.returncode == 0, err
    assert "Traceback" not in err
    assert event_reader.series(tmp_path / "troubled", "train/loss") == event_reader.series(calm, "train/loss")
    one, two = (event_reader.read(run).Histograms("weights/fc2.weight")[-1] for run in (tmp_path / "troubled", calm))
    assert one.histogram_value == two.histogram_value
    assert faulty_server.connections > 0
    facts = json.loads((tmp_path / "troubled" / "run.json").read_text())["logged"]
    assert facts["tensorboard"]["pending"] == 0
    assert len(re.findall(r"^WARNING: visdom: \w+Error", err, re.M)) <= 1 + facts["visdom"]["retries"]
