"""The signatures are those of tensorboardX and of `torch.utils.tensorboard`."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import tensorboardX
import torch.utils.tensorboard

from monitor import GlobalSummaryWriter, SummaryWriter
from monitor.integrations.writer.flavors import (
    TensorBoardXGlobalSummaryWriter,
    TensorBoardXSummaryWriter,
    TorchSummaryWriter,
)

TORCH, TENSORBOARDX = torch.utils.tensorboard.SummaryWriter, tensorboardX.SummaryWriter
STANDS_FOR = {
    TorchSummaryWriter: TORCH,
    TensorBoardXSummaryWriter: TENSORBOARDX,
    GlobalSummaryWriter: tensorboardX.GlobalSummaryWriter,
    TensorBoardXGlobalSummaryWriter: tensorboardX.GlobalSummaryWriter,
}
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def public(kind: type) -> list[str]:
    names = [name for name, member in inspect.getmembers(kind, inspect.isroutine) if not name.startswith("_")]
    return [*names, "__init__"]


def parameters(kind: type, method: str) -> dict[str, Any]:
    """Return the default values by name, in order."""
    found = inspect.signature(getattr(kind, method)).parameters.values()
    return {p.name: p.default for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def by_position(kind: type, method: str) -> list[str]:
    return [p.name for p in inspect.signature(getattr(kind, method)).parameters.values() if p.kind in POSITIONAL]


@pytest.mark.parametrize(
    ("ours", "stock", "method"),
    [(ours, stock, method) for ours, stock in STANDS_FOR.items() for method in public(stock)],
)
def test_the_parameters_of_one_package_come_first_and_in_its_order(ours: type, stock: type, method: str) -> None:
    wanted, found = parameters(stock, method), parameters(ours, method)
    wanted = {name: None if name == "comet_config" else default for name, default in wanted.items()}
    assert list(found.items())[: len(wanted)] == list(wanted.items())
    if (ours, method) != (TorchSummaryWriter, "add_video"):  # it takes data formats too
        assert by_position(ours, method) == by_position(stock, method)


@pytest.mark.parametrize(
    ("stock", "method"), [(stock, method) for stock in (TORCH, TENSORBOARDX) for method in public(stock)]
)
def test_one_writer_takes_the_parameters_of_both(stock: type, method: str) -> None:
    wanted, found = parameters(stock, method), parameters(SummaryWriter, method)
    if method == "add_onnx_graph":  # one parameter with two names
        wanted = dict.fromkeys(list(wanted)[1:])
    for name, default in wanted.items():
        assert found[name] == (None if name == "comet_config" else default), name
