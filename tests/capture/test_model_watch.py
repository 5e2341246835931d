"""`Logger.watch`: the right norms and histograms, at the right steps, and a model that stays as it is."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from monitor import Logger, reopen
from monitor import records as r
from monitor.capture.calls import model_watch
from monitor.runs.listing import load
from monitor.sinks.memory import MemorySink
from tests.support.watched_models import PARAMETERS, Watched, gradients, net, norm, sgd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.log.close()


def test_norms_and_histograms_of_each_parameter(watched: Watched) -> None:
    model = net()
    watched.log.watch(model, every=3)
    watched.train(model, sgd(model), 7)
    assert watched.log.flush(20)
    kinds = ("weights", "gradients")
    assert watched.tags() == {f"norm/{kind}{name}" for kind in kinds for name in ("", *(f"/{p}" for p in PARAMETERS))}
    assert watched.tags(r.Histogram) == {f"{kind}/{name}" for kind in kinds for name in PARAMETERS}
    assert {tuple(watched.steps(tag)) for tag in watched.tags()} == {(0, 3, 6)}
    for kind, tensors in {"weights": [p.detach() for p in model.parameters()], "gradients": gradients(model)}.items():
        for name, tensor in zip(PARAMETERS, tensors):
            assert watched.last(f"norm/{kind}/{name}") == pytest.approx(float(tensor.norm()))
            histogram = [h for h in watched.sink.of(r.Histogram) if h.tag == f"{kind}/{name}"][-1]
            assert histogram.values.tolist() == tensor.flatten().double().tolist()
        assert watched.last(f"norm/{kind}") == pytest.approx(norm(tensors))


def test_they_are_no_metrics_to_compare_by(watched: Watched) -> None:
    model = nn.ModuleDict({"score": nn.Linear(4, 2)})
    watched.log.watch(model)
    optimizer = sgd(model)
    model["score"](torch.rand(8, 4)).mean().backward()
    optimizer.step()
    watched.log.scalar("loss", 1.0, 0)
    watched.log.close()
    info = load(watched.log.run.path)
    assert (list(info.metrics), info.progress["step"]) == (["loss"], 0)
    assert "norm/weights/score.weight" in {record.tag for record in watched.sink.of(r.Scalar)}


def test_only_what_is_asked_for(watched: Watched) -> None:
    model = net()
    watched.log.watch(model, 1, weights=False, histograms=False, name="policy")
    watched.train(model, sgd(model), 1)
    assert watched.tags() == {"norm/gradients/policy", *(f"norm/gradients/policy/{name}" for name in PARAMETERS)}
    assert watched.tags(r.Histogram) == set()
    watched.log.watch(model, 2, gradients=False, histograms=False)  # replaces it
    watched.train(model, sgd(model), 1)
    assert watched.steps("norm/weights") == [0]
    assert watched.steps("norm/gradients/policy") == [0]
    watched.log.unwatch(model)
    watched.train(model, sgd(model), 5)
    assert watched.steps("norm/weights") == [0]


def test_accumulated_gradients_count_once_and_closures_as_well(watched: Watched) -> None:
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    watched.log.watch(model, 1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(torch.ones(2, 4)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(2):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    second = sgd(model)  # goes on from there
    for _ in range(4):
        model(torch.rand(8, 4)).mean().backward()
    second.step()
    assert watched.steps("norm/gradients") == [0, 1, 2]
    assert watched.last("norm/gradients") == pytest.approx(norm(gradients(model)))


def test_two_models_two_optimizers_and_others(watched: Watched) -> None:
    one, other = net(), net()
    watched.log.watch(one, 1, name="one", histograms=False)
    watched.train(other, sgd(other), 5)
    first = torch.optim.SGD(one[0].parameters(), lr=0.1)
    second = torch.optim.SGD(one[2].parameters(), lr=0.1)
    for _ in range(2):
        one(torch.rand(2, 4)).mean().backward()
        first.step()
        second.step()
    assert watched.steps("norm/weights/one/0.bias") == watched.steps("norm/weights/one/2.bias") == [0, 1]
    assert "norm/weights/one" not in watched.tags(), "neither optimizer has all parameters"


def test_the_model_stays_as_it_is(watched: Watched) -> None:
    model = net()
    watched.log.watch(model, 1)
    optimizer = sgd(model)
    watched.train(model, optimizer, 1)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        watched.train(copied, sgd(copied), 1)
    assert watched.steps("norm/weights") == [0], "a copy is another model"
    gone = weakref.ref(model)
    del model, optimizer, copied
    gc.collect()
    assert gone() is None
    watched.log.watch(net(), 1)
    assert len(model_watch._watches) == 1  # noqa: SLF001 - nothing of the model that is gone is kept


def test_wrapped_and_compiled_models_keep_the_names(watched: Watched) -> None:
    model = net()
    compiled: Any = torch.compile(model, backend="eager")
    watched.log.watch(compiled, 1, histograms=False)
    optimizer = sgd(model)
    watched.train(compiled, optimizer, 2)
    parallel = nn.DataParallel(model)
    watched.log.watch(parallel, 1, histograms=False, name="parallel")
    watched.train(parallel, optimizer, 1)
    assert watched.steps("norm/weights/0.bias") == [0, 1, 2]
    assert watched.steps("norm/weights/parallel/0.bias") == [0]


def test_a_resumed_run_continues_the_steps(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        log.scalar("loss", 1.0, 0)
        log.checkpoint("c", 250)
    resumed = Watched.__new__(Watched)
    resumed.sink, model = MemorySink(), net()
    with Logger(reopen(tmp_path / "run", "c", 250), [resumed.sink]) as resumed.log:
        resumed.log.watch(model, 100)
        resumed.train(model, sgd(model), 60)
        assert resumed.steps("norm/weights") == [300]


def test_after_the_end_nothing_is_logged(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    model = net()
    watched.log.watch(model, 1)
    watched.log.close()
    watched.train(model, sgd(model), 2)
    assert watched.sink.of(r.Scalar) == []
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_fails_is_reported_once_and_the_training_goes_on(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Module()
    model.register_module("a b\tc" * 200, nn.Linear(1, 1))
    model.weight = nn.Parameter(torch.zeros(2, 2).to(torch.float8_e4m3fn), requires_grad=False)
    watched.log.watch(model, 1)
    optimizer = sgd(model)
    with caplog.at_level(logging.WARNING, "monitor"):
        optimizer.step()
        optimizer.step()
    (warning,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith("a model is no longer watched: ")


def test_mistakes(watched: Watched) -> None:
    with pytest.raises(TypeError, match=r"watch takes a torch\.nn\.Module, not SGD"):
        watched.log.watch(sgd(net()))
    with pytest.raises(ValueError, match="every must be 1 or more, not 0"):
        watched.log.watch(net(), every=0)
    with pytest.raises(TypeError, match="every must be an int"):
        watched.log.watch(net(), every=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a model with parameters; ReLU has none"):
        watched.log.watch(nn.ReLU())
    with pytest.raises(ValueError, match="needs weights=True or gradients=True"):
        watched.log.watch(net(), weights=False, gradients=False)
    watched.log.close()
    with pytest.raises(RuntimeError, match="this logger is closed"):
        watched.log.watch(net())


def test_other_ranks_and_children_do_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = net()
    gc.collect()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Logger(tmp_path / "run", [MemorySink()]) as log:
        log.watch(model, 1)
        pickle.loads(pickle.dumps(log)).watch(model, 1)
        assert model_watch._watches == ()  # noqa: SLF001 - a hook that drops what it computes would not show
