"""TensorBoard's own reader finds in our files what it finds in those of the stock writers, for the same calls."""

from __future__ import annotations

import wave
from collections import OrderedDict, deque
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tensorboardX
import torch
from torch.utils import tensorboard

from monitor import SummaryWriter
from monitor.integrations.writer.flavors import TensorBoardXSummaryWriter, TorchSummaryWriter
from tests.integrations.writer_calls import add_what_both_packages_have, contents
from tests.support import event_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIRS = {
    "torch": (tensorboard.SummaryWriter, TorchSummaryWriter),
    "tensorboardX": (tensorboardX.SummaryWriter, TensorBoardXSummaryWriter),
    "either": (tensorboard.SummaryWriter, SummaryWriter),
}


def both(tmp_path: Path, pair: str, calls: Callable[[Any], None], **options: Any) -> tuple[Any, Any]:
    """Return what is in the files of the stock writer and of ours after the same calls."""
    for name, kind in zip(("stock", "ours"), PAIRS[pair]):
        with kind(str(tmp_path / name), **options) as writer:
            calls(writer)
    return contents(tmp_path / "stock"), contents(tmp_path / "ours")


@pytest.mark.parametrize("pair", PAIRS)
def test_the_files_hold_the_same(tmp_path: Path, pair: str) -> None:
    stock, ours = both(tmp_path, pair, add_what_both_packages_have)
    runs = {name.split(":")[0] for name in stock if "hparam" in name}
    assert len(runs) == 1
    [run] = runs
    moved = {name.replace(f"{run}:", ":", 1): value for name, value in stock.items() if f"{run} (" not in name}
    assert ours == moved  # `add_hparams` makes no extra run
    assert len(ours) > 30


def add_plain_arguments(w: Any) -> None:
    """Call what a worker builds if the arguments are of Python's own types, with such and with others."""
    columns = [[3, 2, 1], [3, 2, 1], [0, 1, 2], [0, 1, 2], [0.5, 0.5, 0.5], [1, 0.6, float("nan")]]
    w.add_pr_curve_raw("plain", *columns, 1, num_thresholds=3)
    w.add_pr_curve_raw("plain", *columns, 2, num_thresholds=200)
    w.add_pr_curve_raw("ü", *columns, 2, walltime=4.0)
    w.add_pr_curve_raw("empty", *([] for _ in range(6)), 3)
    w.add_pr_curve_raw("truth values", *([[True]] * 6), 4)
    w.add_histogram_raw("raw", 0, 4, 10, 20.0, 60.5, [1.0, 2, 3.0], [5, 3, 2.0], 1)
    w.add_histogram_raw("raw", 0, 4, 10, 20.0, 60.5, [], [])
    w.add_histogram_raw("raw ü", 0, 4, 10, 20.0, 60.5, [2**70], [5], 2**62, 8.0)
    w.add_histogram_raw("unknown", 0, 4, 10, None, 60.5, [1.0], [5], 1)
    w.add_histogram_raw("numpy", *np.arange(5.0), np.arange(3.0), np.arange(3), 1)
    w.add_histogram_raw("numbers of numpy", *np.arange(5.0), list(np.arange(3.0)), list(np.arange(3)), 1)
    w.add_text("text ü", "ü", 1)
    w.add_text("text", "", 1, 3.0)
    w.add_hparams({"layers": 2, "rate": 0.1, "none": None, "bias": True, "name": "ü"}, {"hparam/accuracy": 1})


@pytest.mark.parametrize("pair", PAIRS)
def test_arguments_of_any_type_give_the_same_files(tmp_path: Path, pair: str) -> None:
    stock, ours = both(tmp_path, pair, add_plain_arguments)
    [run] = {name.split(":")[0] for name in stock if "hparam" in name}
    assert ours == {name.replace(f"{run}:", ":", 1): value for name, value in stock.items() if f"{run} (" not in name}
    assert len(ours[":plain"]) == 2
    assert len(ours) > 20


LAYOUTS: dict[str, Any] = {
    "several": {
        "a": {"all": ["Multiline", ["x", "y"]], "band": ["Margin", ["v", "low", "high"]]},
        "b": {"one": ("Multiline", ("z",))},
    },
    "empty": {},
    "an empty category": {"a": {}, "b": {"none": ["Multiline", []]}},
    "another kind": {"a": {"b": ["Something", ["x"]]}},
    "other letters": {"ä": {"ü": ["Margin", ["ö", "ß", "ñ"]]}},
    "a text of tags": {"a": {"b": ["Multiline", "xyz"]}},
    "more than is read": {"a": {"b": ["Multiline", ["x"], "ignored"]}},
    "other mappings": MappingProxyType({"a": OrderedDict(b=deque(["Multiline", ["x"]]))}),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_any_type_give_the_same_files(tmp_path: Path, pair: str, layout: Any) -> None:
    stock, ours = both(tmp_path, pair, lambda w: w.add_custom_scalars(layout))
    assert ours == stock
    assert ours


def add_what_torch_has(w: Any) -> None:
    w.add_scalar("new", 0.1, 1, new_style=True)
    w.add_scalar("double", 0.1, 1, new_style=True, double_precision=True)
    w.add_tensor("tensor", torch.arange(6.0).reshape(2, 3), 2)
    for dtype in (torch.bfloat16, torch.int64, torch.bool, torch.complex64):
        w.add_tensor(f"tensor/{dtype}", torch.ones(3, dtype=dtype), 2)
    w.add_scalar("tensor scalar", torch.tensor([0.25], requires_grad=True), 3)
    w.add_histogram("bfloat16", torch.linspace(0, 1, 50, dtype=torch.bfloat16), 3)
    w.add_audio("audio", torch.linspace(-1.5, 1.5, 400), 4, sample_rate=8000)
    w.add_graph(torch.nn.Linear(3, 2), torch.zeros(1, 3))
    w.add_hparams({"lr": 0.1}, {"m": 1}, {"lr": [0.1, 0.2]}, run_name="named", global_step=5)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
@pytest.mark.parametrize("pair", ["torch", "either"])
def test_what_only_torch_has(tmp_path: Path, pair: str) -> None:
    stock, ours = both(tmp_path, pair, add_what_torch_has)
    assert ours == stock


def add_what_tensorboardx_has(w: Any) -> None:
    w.add_scalar("named", 0.1, 1, display_name="A name", summary_description="what it is")
    w.add_scalar("named", 0.2, 2, None, "A name", "what it is")
    w.add_images("list", [np.zeros((3, 4, 4)), np.ones((3, 4, 4))], 2, dataformats="CHW")
    w.add_images("RGBA", np.random.default_rng(0).random((2, 4, 6, 6)), 2)
    w.add_histogram("list", [1.0, 2.0, 2.5], 3)
    w.add_image_with_boxes("boxes", np.zeros((9, 9, 3)), np.array([[1, 1, 5, 5]]), 4, None, "HWC", ["cat"])
    w.add_hparams({"f": print}, {"m": 1}, "named", 5)
    with w.use_metadata(global_step=8, walltime=9.0):
        w.add_scalar("step", 1.0)
        w.add_scalar("step", 2.0, 3)
        w.add_text("text", "at 8")


def test_what_only_tensorboardx_has(tmp_path: Path) -> None:
    stock, ours = both(tmp_path, "tensorboardX", add_what_tensorboardx_has)
    assert ours == stock


def test_either_takes_what_only_tensorboardx_takes(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        add_what_tensorboardx_has(writer)
    found = contents(tmp_path)
    assert found[":step"] == [(8, 1.0, 9.0), (3, 2.0, 9.0)]
    assert {":named", ":list", ":RGBA", ":boxes", "named:m"} <= set(found)
    assert b"A name" in found[":named (metadata)"]


def test_stereo_sound(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with TensorBoardXSummaryWriter(tmp_path) as writer:
        writer.add_audio("stereo", np.zeros((100, 2)), 1)
    [(_, data, _)] = contents(tmp_path)[":stereo"]
    with wave.open(BytesIO(data)) as sound:
        assert sound.getnchannels() == 2


@pytest.mark.parametrize("pair", PAIRS)
def test_embeddings(tmp_path: Path, pair: str) -> None:
    def calls(w: Any) -> None:
        points = torch.arange(12.0).reshape(4, 3)
        w.add_embedding(points, list("abcd"), torch.rand(4, 3, 5, 5, generator=torch.manual_seed(0)), 1, "first")
        w.add_embedding(points * 2, torch.arange(4), None, 2, "a/b")
        w.add_embedding(points, [("x", 1)] * 4, tag="rows", metadata_header=["name", "number"])
        w.add_scalar("so that there is a file", 1)

    for name, kind in zip(("stock", "ours"), PAIRS[pair]):
        with kind(str(tmp_path / name)) as writer:
            calls(writer)
    written = {
        name: {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file() and "tfevents" not in path.name and path.name != "run.json"
        }
        for name in ("stock", "ours")
    }
    config = {name: files.pop("projector_config.pbtxt") for name, files in written.items()}
    assert written["ours"] == written["stock"]
    assert parsed(config["ours"]) == parsed(config["stock"])


def parsed(config: bytes) -> Any:
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    return text_format.Parse(config, ProjectorConfig())


@pytest.mark.parametrize("pair", ["torch", "tensorboardX"])
def test_what_is_written_past_the_methods(tmp_path: Path, pair: str) -> None:
    """Frameworks reach for the file writer."""
    package = tensorboardX.proto if pair == "tensorboardX" else tensorboard.writer
    event_pb2 = package.event_pb2

    def calls(w: Any) -> None:
        value = event_pb2.Event().summary.value.add(tag="direct", simple_value=2.0)
        summary = event_pb2.Event(summary={"value": [value]}).summary
        w.file_writer.add_summary(summary, 4, walltime=3.0)
        w._get_file_writer().add_event(event_pb2.Event(summary=summary), 5, 6.0)  # noqa: SLF001
        w.file_writer.event_writer.add_event(event_pb2.Event(summary=summary, step=7, wall_time=8.0))
        summary.value[0].simple_value = 9.0  # what is done to it later changes nothing

    stock, ours = both(tmp_path, pair, calls)
    assert ours[":direct"] == [(4, 2.0, 3.0), (5, 2.0, 6.0), (7, 2.0, 8.0)]
    assert stock.keys() == ours.keys()


def test_purge_step(tmp_path: Path) -> None:
    for purge_step in (None, 3):
        writer = SummaryWriter(tmp_path, purge_step=purge_step)
        for step in range(3 if purge_step else 0, 5):
            writer.add_scalar("loss", step + 10 * bool(purge_step), step)
        writer.close()
        writer.add_scalar("loss", 20, 5)  # in a new file, which purges nothing
        writer.close()
    assert [value for _, value in event_reader.series(tmp_path, "loss")] == [0, 1, 2, 13, 14, 20]
