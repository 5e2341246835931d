"""Writers in forked and spawned processes, and copies that are made in time."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from monitor import GlobalSummaryWriter, RunStatus, SummaryWriter
from monitor.events.files import event_files
from monitor.integrations.writer.summaries.capture import PendingSummary
from monitor.runs.listing import load
from tests.integrations.writer_calls import contents, figure
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

fork = multiprocessing.get_context("fork")


def test_a_forked_child_writes_a_file_of_its_own(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 1)

    def work() -> None:
        writer.add_scalar("child", float(os.getpid()), 2)
        writer.add_text("text", "from the child", 2)

    children = [fork.Process(target=work) for _ in range(2)]
    with PendingSummary.building:  # as a worker of the parent holds it
        for child in children:
            child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert load(tmp_path).status is RunStatus.RUNNING  # its status is the parent's
    writer.add_scalar("loss", 2.0, 2)
    writer.close()
    assert load(tmp_path).status is RunStatus.FINISHED
    assert event_reader.series(tmp_path, "loss") == [(1, 1.0), (2, 2.0)]
    values = {value for _, value in event_reader.series(tmp_path, "child")}
    assert values == {float(child.pid or 0) for child in children}
    assert event_reader.text(tmp_path, "text") == ["from the child"] * 2
    assert len(event_files(tmp_path)) == 3


def test_a_writer_that_is_first_used_in_a_child(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)

    def work() -> None:
        with writer:
            writer.add_scalar("loss", 1.0, 1)

    child = fork.Process(target=work)
    child.start()
    child.join(60)
    assert event_reader.series(tmp_path, "loss") == [(1, 1.0)]
    assert load(tmp_path).fields["pid"] == child.pid


def test_the_global_writer_has_one_file_for_all_processes(tmp_path: Path) -> None:
    writer = GlobalSummaryWriter(tmp_path)

    def work() -> None:
        for _ in range(20):
            writer.add_scalar("steps", float(os.getpid()))
        writer.add_text("text", "from a child")

    children = [fork.Process(target=work) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    writer.add_scalar("steps", 0.0)
    writer.close()
    points = sorted(event_reader.series(tmp_path, "steps"))  # each child sends at its own pace
    assert [step for step, _ in points] == list(range(41))
    assert [value for _, value in points[:-1]].count(float(children[0].pid or 0)) == 20
    assert event_reader.text(tmp_path, "text") == ["from a child"] * 2
    assert len(event_files(tmp_path)) == 1


def test_what_is_changed_after_the_call_changes_nothing(tmp_path: Path) -> None:
    array, tensor, drawn = np.ones((3, 8, 8)), torch.ones(50), figure()
    labels = ["a", "b"]
    points = np.ones((2, 3))
    counts: Any = [[1, 1] for _ in range(6)]
    settings, metrics = {"lr": 0.5}, {"accuracy": 1}
    layout: Any = {"category": {"chart": ["Multiline", ["a", "b"]]}}
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams(settings, metrics)
        writer.add_custom_scalars(layout)
        writer.add_pr_curve_raw("pr", *counts)
        writer.add_histogram_raw("raw", 0, 1, 2, 3, 4, *counts[:2])
        writer.add_image("image", array)
        writer.add_histogram("histogram", tensor)
        writer.add_scalar("scalar", tensor[0])
        writer.add_tensor("tensor", tensor)
        writer.add_figure("figure", drawn, close=False)
        writer.add_embedding(points, labels)
        array[:], tensor[:], points[:], labels[:], counts[0][:] = 0, 0, 0, ["x", "y"], [7, 7]
        layout["category"]["chart"][1][:], layout["category"]["other"] = ["c"], ["Multiline", ["d"]]
        settings["lr"], metrics["loss"] = 0.25, 2
        drawn.axes[0].clear()
    found = contents(tmp_path)
    assert set(found[":image"][0][1][1]) == {255}
    assert found[":histogram"][0][1].min == 1.0
    assert found[":scalar"][0][1] == 1.0
    assert found[":raw"][0][1].bucket == [1, 1]
    with SummaryWriter(tmp_path / "again") as writer:
        writer.add_figure("figure", figure())
        counts[0][:] = 1, 1
        writer.add_pr_curve_raw("pr", *counts)
        writer.add_hparams({"lr": 0.5}, {"accuracy": 1})
        writer.add_custom_scalars({"category": {"chart": ["Multiline", ["a", "b"]]}})
    again = contents(tmp_path / "again")
    assert again.items() <= found.items()
    assert {":figure", ":pr", ":custom_scalars__config__", ":_hparams_/session_start_info (metadata)"} <= set(again)
    assert (tmp_path / "00000" / "default" / "metadata.tsv").read_text() == "a\nb\n"
    assert (tmp_path / "00000" / "default" / "tensors.tsv").read_text() == "1.0\t1.0\t1.0\n" * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_calls_do_not_wait_for_a_gpu(tmp_path: Path) -> None:
    values = torch.rand(3, 8, 8, device="cuda")
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("first", 1.0, 0)
        torch.cuda.set_sync_debug_mode("error")
        try:
            writer.add_scalar("scalar", values[0, 0, 0], 1)
            writer.add_scalars("scalars", {"a": values[0, 0, 1]}, 1)
            writer.add_image("image", values, 1)
            writer.add_histogram("histogram", values, 1)
            writer.add_tensor("tensor", values, 1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = contents(tmp_path)
    assert {":scalar", "scalars_a:scalars", ":image", ":histogram", ":tensor"} <= set(found)


def test_figures_of_pyplot(tmp_path: Path) -> None:
    from matplotlib import pyplot
    from torch.utils.tensorboard import _utils

    draw: Any = _utils.figure_to_image
    pyplot.switch_backend("agg")
    made = pyplot.figure()
    pyplot.plot([1, 3, 2])
    wanted = draw(made, close=False)
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("kept", made, close=False)
        assert pyplot.fignum_exists(made.number)
        writer.add_figure("closed", made)
        assert not pyplot.fignum_exists(made.number)
    assert pyplot.get_fignums() == []
    shape, pixels = contents(tmp_path)[":closed"][0][1]
    assert np.moveaxis(wanted, 0, 2).tobytes() == pixels
    assert shape == np.moveaxis(wanted, 0, 2).shape
    assert contents(tmp_path)[":kept"] == contents(tmp_path)[":closed"]


def test_a_figure_that_cannot_be_copied_is_drawn_at_once(tmp_path: Path) -> None:
    made = figure()
    made.axes[0].xaxis.set_major_formatter(lambda value, _position: f"{value}!")
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("figure", made)
        made.axes[0].clear()
        with pytest.raises(AttributeError):
            writer.add_figure("figure", "no figure")
    assert len(contents(tmp_path)[":figure"]) == 1


def test_it_loads_no_torch_before_it_must(tmp_path: Path) -> None:
    code = f"""
import sys
from monitor import SummaryWriter
writer = SummaryWriter({str(tmp_path)!r})
print(*[name for name in ("torch", "tensorboardX", "numpy", "matplotlib") if name in sys.modules])
writer.add_scalar("loss", 1.0, 1)
writer.add_scalars("group", {{"a": 1}}, 1)
writer.close()
print(*[name for name in ("torch", "tensorboardX") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.splitlines() == ["", ""]


@pytest.mark.slow
def test_the_stock_classes_are_replaced(tmp_path: Path) -> None:
    code = f"""
from monitor.integrations.writer.flavors import install
install(load=True)
import tensorboardX, torch.utils.tensorboard
from torch.utils.tensorboard.writer import SummaryWriter
from monitor import SummaryWriter as Ours
for kind in (tensorboardX.SummaryWriter, torch.utils.tensorboard.SummaryWriter, SummaryWriter):
    class Own(kind):
        def __init__(self):
            super().__init__({str(tmp_path)!r})
    with Own() as writer:
        writer.add_scalar("loss", 1.0, 1)
    assert isinstance(writer, kind) and isinstance(writer, Ours)
stock = tensorboardX.SummaryWriter("memory://run", write_to_disk=False)  # only the stock class goes there
assert not isinstance(stock, Ours)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
    assert event_reader.series(tmp_path, "loss") == [(1, 1.0)] * 3


@pytest.mark.slow
def test_the_stock_classes_are_replaced_while_they_are_imported(tmp_path: Path) -> None:
    code = """
import sys
from monitor.integrations.writer.flavors import REPLACED_MODULES, install
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name not in REPLACED_MODULES:
            return None
        spec = next(s for f in sys.meta_path if f is not self and (s := f.find_spec(name, path, target)))
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (execute(module), install())
        return spec
sys.meta_path.insert(0, Finder())
from tensorboardX import GlobalSummaryWriter, SummaryWriter
from torch.utils.tensorboard import SummaryWriter as TorchWriter
from monitor import SummaryWriter as Ours
assert issubclass(SummaryWriter, Ours) and issubclass(TorchWriter, Ours) and SummaryWriter is not TorchWriter
assert GlobalSummaryWriter.__module__.startswith("monitor.")
assert not isinstance(TorchWriter("memory://run"), Ours)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=200, cwd=tmp_path)


def test_a_remote_directory_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a local directory"):
        SummaryWriter("s3://bucket/run")
