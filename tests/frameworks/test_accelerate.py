from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from PIL import Image

from monitor import Images, Logger, MemorySink, Text
from monitor.integrations.accelerate import MonitorTracker
from tests.support import event_reader
from tests.support.framework_scripts import TORCHRUN, run_script
from tests.support.logged_runs import ending, run_file
from tests.support.snippets import section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes import Start

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the framework


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test where it may write, with Accelerate's global state as in a new program."""
    monkeypatch.chdir(tmp_path)
    yield
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()  # noqa: SLF001 - there is no other way


def train(accelerator: Accelerator, steps: int = 5) -> list[float]:
    """Train a line and return the losses, which are logged."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    losses = []
    for step in range(steps):
        loss = model(torch.ones(4, 2)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({"train/loss": loss, "eval": {"f1": 0.5}}, step=step)
        losses.append(loss.item())
    return losses


def test_log_with_monitor(tmp_path: Path) -> None:
    accelerator = Accelerator(log_with="monitor", cpu=True)
    accelerator.init_trackers("line", config={"lr": 0.1, "layers": [2, 1]})
    losses = train(accelerator)
    accelerator.end_training()
    run = tmp_path / "runs" / "line"
    assert dict(event_reader.series(run, "train/loss")) == pytest.approx(dict(enumerate(losses)))
    assert event_reader.series(run, "eval/f1") == [(step, 0.5) for step in range(5)]
    assert run_file(run)["config"] == {"lr": 0.1, "layers": [2, 1]}
    assert ending(run) == ("finished", None)


def test_arguments_for_the_tracker(tmp_path: Path) -> None:
    memory = MemorySink()
    accelerator = Accelerator(log_with="monitor", cpu=True)
    options = {"sinks": [memory], "logdir": tmp_path / "elsewhere", "alerts": ["train/loss > 1e9"]}
    accelerator.init_trackers("line", init_kwargs={"monitor": options})
    train(accelerator)
    accelerator.end_training()
    assert [step for step, _ in memory.series("train/loss")] == list(range(5))
    assert ending(tmp_path / "elsewhere" / "line") == ("finished", None)


def test_the_logger_behind_the_tracker(tmp_path: Path) -> None:
    accelerator = Accelerator(log_with="monitor", cpu=True)
    accelerator.init_trackers("line")
    log = accelerator.get_tracker("monitor", unwrap=True)
    assert isinstance(log, Logger)
    log.histogram("weights", torch.arange(5.0), 0)
    accelerator.end_training()
    assert event_reader.read(tmp_path / "runs" / "line").Tags()["histograms"] == ["weights"]


def test_a_tracker_with_a_logger_of_ones_own(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "own", [memory], {"seed": 1}) as log:
        accelerator = Accelerator(log_with=MonitorTracker(logger=log), cpu=True)
        accelerator.init_trackers("line", config={"lr": 0.1})
        train(accelerator)
        accelerator.end_training()
        log.scalar("after", 1.0, 9)
    assert memory.series("after") == [(9, 1.0)]
    assert run_file(tmp_path / "own")["config"] == {"seed": 1, "lr": 0.1}


def test_without_a_step_and_with_texts() -> None:
    memory = MemorySink()
    tracker = MonitorTracker("steps", sinks=[memory])
    tracker.log({"loss": 3.0})
    tracker.log({"loss": 2.0, "note": "halfway"}, step=10)
    tracker.log({"loss": 1.0, "matrix": [[1, 2]]})
    tracker.finish()
    assert memory.series("loss") == [(0, 3.0), (10, 2.0), (11, 1.0)]
    assert [(text.tag, text.text, text.step) for text in memory.of(Text)] == [("note", "halfway", 10)]


def test_images_and_tables() -> None:
    memory = MemorySink()
    tracker = MonitorTracker("pictures", sinks=[memory])
    rows = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    with_alpha = np.concatenate([rows, np.full((2, 4, 6, 1), 255, np.uint8)], axis=3)
    tracker.log_images(
        {
            "first": torch.from_numpy(rows).permute(0, 3, 1, 2),
            "last": rows,
            "alpha": with_alpha,
            "pil": [Image.fromarray(row) for row in rows],
        },
        step=3,
    )
    tracker.log_table("table", ["word", "count"], [["a", 1], ["b", 2]], step=3)
    tracker.finish()
    grids = memory.of(Images)
    assert [grid.tag for grid in grids] == ["first", "last", "alpha", "pil"]
    assert all((grid.images == rows.transpose(0, 3, 1, 2)).all() for grid in grids)
    assert [text.text for text in memory.of(Text)] == ["word | count\na | 1\nb | 2"]


SCRIPT = """
from accelerate import Accelerator
import monitor.integrations.accelerate
accelerator = Accelerator(log_with="monitor", cpu=True)
accelerator.init_trackers("line", config={"lr": 0.1})
accelerator.log({"train/loss": 1.0}, step=0)
"""


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("", ("finished", None)),
        ("1 / 0", ("failed", "ZeroDivisionError: division by zero")),
        (
            "try:\n    1 / 0\nfinally:\n    accelerator.end_training()",
            ("failed", "ZeroDivisionError: division by zero"),
        ),
    ],
)
def test_how_a_program_ends_is_how_the_run_ends(
    end: str, expected: tuple[str, str | None], start: Start, tmp_path: Path
) -> None:
    run_script(start, tmp_path, SCRIPT + end)
    assert ending(tmp_path / "runs" / "line") == expected


def test_of_two_processes_one_logs(start: Start, tmp_path: Path) -> None:
    code = SCRIPT + "accelerator.wait_for_everyone()\naccelerator.end_training()"
    status, errors = run_script(start, tmp_path, code, *TORCHRUN)
    assert status == 0, errors
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["line"]
    assert event_reader.series(tmp_path / "runs" / "line", "train/loss") == [(0, 1.0)]


def test_the_snippet_of_the_docs(tmp_path: Path) -> None:
    exec(compile(section("integrations.md", "Accelerate"), "integrations.md", "exec"), {"__name__": "docs"})
    (run,) = (tmp_path / "runs").iterdir()
    assert event_reader.series(run, "train/loss")
    assert ending(run) == ("finished", None)
