"""A training is steered from Visdom's page, and repeats its changes exactly."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import torch

from monitor.testing import wait_until
from runners.training.checkpointing import checkpoints
from tests.support import event_reader
from tests.support.browser import FIND_WINDOW, Page
from tests.support.resuming import resume, settings, train
from tests.support.servers import free_port
from tests.support.steering import SteeringPage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Process, Start
    from tests.support.servers import VisdomServer


def fields(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "run.json").read_text()))


def made(run: Path) -> list[tuple[str, float | None]]:
    found = fields(run).get("controls", [])
    return [(change["control"], change.get("value")) for change in found]


def weights(run: Path) -> tuple[str, dict[str, torch.Tensor]]:
    name, contents = checkpoints.load(run)
    return name.rpartition("-")[0], contents["model"]


def trainer(start: Start, *arguments: object) -> Process:
    return start("-m", "runners.mlp", *map(str, arguments))


class Window:
    """The steering window in a browser."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def row(self, text: str) -> Any:
        """Return the row whose text or button contains this one."""
        return self.page.locator("tr", has_text=text)

    def type(self, name: str, value: str) -> None:
        """Type a value into the field of a setting."""
        self.row(f"{name} = ").locator("input").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(value)  # key by key: image windows would swallow them
        self.page.keyboard.press("Enter")

    def click(self, button: str) -> None:
        """Click a button."""
        self.page.locator(".table-properties button", has_text=button).click()

    def wait(self, text: str) -> None:
        """Wait until the window says this."""
        script = f"text => {{ const w = ({FIND_WINDOW})('controls'); return w && w.textContent.includes(text); }}"
        self.page.wait(script, text)


@pytest.mark.slow
def test_a_page_steers_a_training(
    page: Page, visdom_server: VisdomServer, small_mnist: Path, tmp_path: Path, start: Start
) -> None:
    run = tmp_path / "steered"
    arguments = ["--epochs", "1000000", "--name", "steered", "--steer", "--test-every", "1000000", "--log-every", "10"]
    process = trainer(start, *settings(tmp_path, small_mnist), *arguments, "--scheduler", "none", "--record", "none",
                      "--sink", visdom_server.spec())  # fmt: skip
    wait_until(lambda: "controls" in visdom_server.windows("steered"), 60, "the window")
    page.goto(f"{visdom_server.url}/env/steered")
    window = Window(page)
    wait_until(lambda: "samples" in visdom_server.windows("steered"), 60, "an image window")
    window.wait("lr = 0.01")
    window.type("lr", "0.002")
    window.wait("lr = 0.002 (was 0.01 until step")
    marked = "p => p.data.some(t => t.meta && t.meta.part === 'change' && t.customdata[0] === 'lr: 0.01 → 0.002')"
    page.wait(marked, page.plot("loss"))
    assert window.row("lr = ").locator("input").input_value().strip() == "", "the field is ready for the next value"
    window.type("weight_decay", "1e-4")
    window.wait("weight_decay = 0.0001 (was 0 until step")
    for bad, says in (("-1", "-1 is not"), ("fast", "'fast' is not"), ("nan", "nan is not"), ("1e400", "1e400 is not")):
        window.type("lr", bad)
        window.wait(f"lr = 0.002 (refused: {says} a number greater than 0)")
    window.row("lr = ").locator("input").click()  # a click into a field and out of it changes nothing
    window.click("pause")
    window.wait("paused at step")
    step = fields(run)["controls"][-1]["step"]
    window.type("lr", "0.5")
    window.wait(f"lr = 0.5 (was 0.002 until step {step:,})")
    window.click("checkpoint now")
    window.wait(f"done at step {step:,}checkpoint now")
    assert [path.name[:17] for path in checkpoints.list_checkpoints(run / "checkpoints")] == [f"step-{step:012d}"]
    window.click("resume")
    window.wait("running")
    window.click("test now")
    wait_until(lambda: [c for c, _ in made(run)].count("test") == 1, 60, "the test")
    wait_until(lambda: "confusion" in visdom_server.windows("steered"), 60, "the test's windows")
    curves = {title for title in visdom_server.windows("steered") if "lr" in title}
    assert curves, "the changes are a curve"
    window.click("stop")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"Stopped from the dashboard. The run so far is in {run}" in err
    window.wait("The run has ended, stopped at step")
    assert page.problems == []
    assert made(run) == [
        ("lr", 0.002), ("weight_decay", 0.0001), ("pause", None), ("lr", 0.5), ("checkpoint", None), ("resume", None),
        ("test", None), ("stop", None),
    ]  # fmt: skip
    found = fields(run)
    assert (found["status"], found["error"][:29]) == ("stopped", "stopped from a dashboard at s")
    rates = event_reader.series(run, "control/lr")
    assert [value for _, value in rates] == pytest.approx([0.01, 0.01, 0.002, 0.002, 0.5])
    assert len(event_reader.text(run, "steering")) == 8
    assert len(event_reader.series(run, "test/loss")) == 1
    assert checkpoints.load(run)[1]["at"]["step"] == found["controls"][-1]["step"], "a stop can be resumed from"


@pytest.mark.slow
def test_a_steered_run_is_repeated_to_the_bit(
    visdom_server: VisdomServer, small_mnist: Path, tmp_path: Path, start: Start
) -> None:
    """From its start in another run, and in one that is killed again and again."""
    # A step of this net takes milliseconds, so that a page can do something during the training.
    more = ["--hidden", "512", "--epochs", "40", "--test-every", "300", "--checkpoint-every", "50", "--record", "none"]
    common = [*settings(tmp_path, small_mnist), *more]
    steer = ["--steer", "--sink", visdom_server.spec()]
    process = trainer(start, *common, *steer, "--name", "steered")
    run = tmp_path / "steered"
    with SteeringPage(visdom_server.url, "steered") as page:
        wait_until(page.rows, 60, "the window")
        for control, value in (
            ("lr", "0.02"), ("weight_decay", "0.1"), ("test", "clicked"), ("lr", "0.003"), ("pause", "clicked"),
            ("lr", "0.004"), ("checkpoint", "clicked"), ("lr", "0.005"),
        ):  # fmt: skip
            count = len(made(run))
            page.change(control, value)
            wait_until(lambda count=count: len(made(run)) > count, 60, f"the change of {control}")  # type: ignore[misc]
        process.kill()  # after a checkpoint that has the first change of this step, and not the second
        process.wait(60)
    step = checkpoints.load(run)[1]["at"]["step"]
    assert [change["step"] for change in fields(run)["controls"][-3:]] == [step] * 3
    process = trainer(
        start, "--resume", "steered", "--trust-options", "--logdir", tmp_path, "--sink", "tensorboard", *steer
    )
    with SteeringPage(visdom_server.url, "steered") as page:
        page.wait("pause", "running")  # no longer what the killed process had sent
        page.change("weight_decay", "0.01")
        wait_until(lambda: ("weight_decay", 0.01) in made(run), 60, "the change")
        process.kill()
        process.wait(60)
    resumed = resume(tmp_path, "steered", "--sink", "tensorboard")
    assert resumed.exit_code == 0, resumed.output
    expected = [("lr", 0.02), ("weight_decay", 0.1), ("test", None), ("lr", 0.003), ("pause", None), ("lr", 0.004),
                ("checkpoint", None), ("lr", 0.005), ("weight_decay", 0.01)]  # fmt: skip
    assert made(run) == expected
    again = train(tmp_path, small_mnist, *common, "--name", "again", "--steer-from", "steered")
    assert again.exit_code == 0, again.output
    other = tmp_path / "again"
    assert made(other) == [change for change in expected if change[0] in ("lr", "weight_decay", "test")]
    (name, ours), (other_name, theirs) = weights(run), weights(other)
    assert name == other_name == "step-000000000800"
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for tag in ("train/loss", "test/loss", "lr", "control/lr", "control/weight_decay"):
        assert event_reader.series(run, tag) == event_reader.series(other, tag), tag
    plain = train(tmp_path, small_mnist, *common, "--name", "plain")
    assert plain.exit_code == 0, plain.output
    assert not all(torch.equal(ours[key], tensor) for key, tensor in weights(tmp_path / "plain")[1].items())
    assert "controls" not in fields(tmp_path / "plain")


@pytest.mark.slow
def test_two_processes_make_a_change_at_the_same_step(
    visdom_server: VisdomServer, small_mnist: Path, tmp_path: Path, start: Start
) -> None:
    job = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    arguments = [*settings(tmp_path, small_mnist), "--epochs", "100000", "--name", "two", "--steer", "--record", "none",
                 "--sink", visdom_server.spec()]  # fmt: skip
    processes = [start("-m", "runners.mlp", *arguments, env={**job, "RANK": str(rank)}) for rank in (0, 1)]
    with SteeringPage(visdom_server.url, "two") as page:
        page.change_pause_test_and_stop("0.5")
        for process in processes:
            _, err = process.communicate(timeout=200)
            assert process.returncode == (1 if process is processes[0] else 0), err
    found = fields(tmp_path / "two")
    assert found["status"] == "stopped"
    assert [change["control"] for change in found["controls"]] == ["lr", "pause", "test", "resume", "stop"]


def test_options_that_do_not_go_together(tmp_path: Path, small_mnist: Path) -> None:
    said = train(tmp_path, small_mnist, "--epochs", 1, "--steer-from", "gone")
    assert said.exit_code == 2
    assert "there is no run 'gone'" in said.output
    said = train(tmp_path, small_mnist, "--epochs", 1, "--steer", "--name", "a", "--checkpoint-every", "epoch")
    assert said.exit_code == 0, "training goes on without it"
    said = resume(tmp_path, "a", "--steer-from", "a")
    assert said.exit_code == 2
    assert "goes with a new run; a resumed one repeats its own." in said.output
