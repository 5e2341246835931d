"""`Logger.watch` with tensors of all kinds: scaled, frozen, sparse, of half precision, empty, large, on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from monitor import records as r
from monitor.capture.calls import model_watch
from tests.support.watched_models import Watched, gradients, net, norm, sgd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.log.close()


def test_mixed_precision_shows_unscaled_gradients_and_skips_what_the_scaler_skips(watched: Watched) -> None:
    model, scaler = net(), torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = sgd(model)
    watched.log.watch(model, 1)
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 4)).mean()
        scaler.scale(loss * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert watched.steps("norm/gradients") == [0, 1]
    assert watched.last("norm/gradients/2.bias") == pytest.approx(0.5**0.5)  # of a mean over two outputs


def test_frozen_sparse_half_and_empty_parameters(watched: Watched) -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 2, sparse=True), "short": nn.Linear(2, 2).bfloat16()})
    model["frozen"] = nn.Linear(2, 2).requires_grad_(False)
    model.register_parameter("empty", nn.Parameter(torch.zeros(0)))
    optimizer = sgd(model)
    watched.log.watch(model, 1)
    rows = model["embedding"](torch.tensor([1, 1, 3]))
    (rows.sum() + model["short"](rows.bfloat16()).sum().float()).backward()
    optimizer.step()
    found = {tag.removeprefix("norm/gradients/") for tag in watched.tags() if tag.startswith("norm/gradients/")}
    assert found == {"embedding.weight", "short.weight", "short.bias"}
    wanted = model["embedding"].weight.grad.to_dense().norm()  # type: ignore[union-attr, operator]
    assert watched.sink.series("norm/gradients/embedding.weight")[0][1] == pytest.approx(float(wanted))
    assert "norm/weights/frozen.weight" in watched.tags()
    assert "norm/weights/empty" not in watched.tags()


def test_large_tensors_are_sampled_from_all_columns(watched: Watched) -> None:
    model = nn.Linear(1024, 512, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.arange(1024.0).expand(512, 1024))
    watched.log.watch(model, 1, gradients=False)
    sgd(model).step()
    assert watched.log.flush(20)
    (histogram,) = watched.sink.of(r.Histogram)
    assert model_watch.MAX_HISTOGRAM_VALUES / 2 < len(histogram.values) <= model_watch.MAX_HISTOGRAM_VALUES
    assert len(set(histogram.values.tolist())) == 1024
    assert watched.sink.series("norm/weights")[0][1] == pytest.approx(float(model.weight.detach().norm()))


@cuda
@pytest.mark.parametrize("amp", [False, True])
def test_on_a_gpu_without_a_synchronization(watched: Watched, amp: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 2048), nn.ReLU(), nn.Linear(2048, 2)).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=amp)
    scaler = torch.amp.GradScaler("cuda", enabled=amp)
    x = torch.rand(8, 4, device="cuda")
    scaler.scale(model(x).mean()).backward()  # everything is set up
    watched.log.watch(model, 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            optimizer.zero_grad()
            scaler.scale(model(x).mean()).backward()
            if amp:
                scaler.step(optimizer)
            else:
                optimizer.step()
        assert watched.log.flush(30)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert watched.steps("norm/weights") == list(range(20))
    assert watched.last("norm/weights") == pytest.approx(norm([p.detach() for p in model.parameters()]), rel=1e-5)
    assert watched.last("norm/gradients") == pytest.approx(norm(gradients(model)), rel=1e-5)
    assert len(watched.sink.of(r.Histogram)) == 20 * 8
