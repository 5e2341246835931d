"""The settings of optimizers: what is accepted, several parameter groups, and schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim import lr_scheduler

from monitor import Controls
from monitor.steering.settings import Setting

if TYPE_CHECKING:
    from collections.abc import Callable


def sgd(*rates: float, **settings: Any) -> torch.optim.SGD:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=rates[0], **settings)


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("lr", "abc", "'abc' is not a number greater than 0"),
        ("lr", "-0.1", "-0.1 is not a number greater than 0"),
        ("lr", "0", "0 is not a number greater than 0"),
        ("lr", "nan", "nan is not a number greater than 0"),
        ("lr", "1e400", "1e400 is not a number greater than 0"),
        ("lr", "", "'' is not a number greater than 0"),
        ("lr", "x" * 1000, "more characters"),
        ("lr", "\x1b[31m", r"\\u001b"),
        ("lr", None, "'None' is not"),
        ("weight_decay", "-1e-9", "-1e-9 is not a number, 0 or more"),
        ("momentum", "1", "1 is not a number from 0 to less than 1"),
    ],
)
def test_a_bad_value_is_refused(key: str, text: Any, says: str) -> None:
    setting = Setting(key, sgd(0.1, momentum=0.9))
    with pytest.raises(ValueError, match=says):
        setting.parse(text)


@pytest.mark.parametrize("text", ["1e-3", " 0.001 ", "0.001", ".001"])
def test_a_value_may_be_written_in_any_way(text: str) -> None:
    assert Setting("lr", sgd(0.1)).parse(text) == 0.001


def test_groups_keep_their_ratios() -> None:
    optimizer = sgd(0.01, 0.1, 0.1)
    setting = Setting("lr", optimizer)
    assert setting.value == 0.1
    setting.change(0.03)
    assert rates(optimizer) == pytest.approx([0.003, 0.03, 0.03])
    assert rates(optimizer)[1:] == [0.03, 0.03], "the largest is exactly what was typed"
    for group, decay in zip(optimizer.param_groups, (0.0, 0.2, 0.1)):
        group["weight_decay"] = decay
    setting = Setting("weight_decay", optimizer)
    with pytest.raises(ValueError, match="0 would forget the ratios"):
        setting.check(0.0)
    setting.change(0.4)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.4, 0.2], "no decay stays none"


def test_where_all_groups_have_0_all_get_the_value() -> None:
    optimizer = sgd(0.1, 0.2)
    decay = Setting("weight_decay", optimizer)
    decay.check(0.01)
    decay.change(0.01)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.01]
    decay.check(0.0)


def test_a_rate_that_is_a_tensor_is_changed_in_place() -> None:
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=rate, capturable=False, foreach=False)
    Setting("lr", optimizer).change(0.5)
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.5


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "step": lambda o: lr_scheduler.StepLR(o, 3, 0.1),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 12),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=12, cycle_momentum=False),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 3, cycle_momentum=False),
    "warm-up, then cosine": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.CosineAnnealingLR(o, 8)], [4]
    ),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 5), lr_scheduler.ExponentialLR(o, 0.9)], o
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.. before:UserWarning")
def test_the_rest_of_a_schedule_is_scaled(name: str) -> None:
    def follow(factor: float) -> list[list[float]]:
        optimizer = sgd(0.1, 0.02)
        schedule = SCHEDULES[name](optimizer)
        setting = Setting("lr", schedule)
        assert not setting.has_foreign_schedule
        found = []
        for step in range(11):
            if step == 2:
                setting.check(setting.value * factor)
                setting.change(setting.value * factor)
            found.append(rates(optimizer))
            optimizer.step()
            schedule.step()
        return found

    plain, changed = follow(1.0), follow(0.25)
    assert changed[:2] == plain[:2]
    for before, after in zip(plain[2:], changed[2:]):
        assert after == pytest.approx([rate * 0.25 for rate in before]), "nothing sets the old value again"


def test_a_schedule_that_is_not_given_is_told() -> None:
    optimizer = sgd(0.1)
    schedule = lr_scheduler.LambdaLR(optimizer, lambda _step: 0.0 if _step == 0 else 1.0)
    assert Setting("lr", optimizer).has_foreign_schedule
    assert not Setting("lr", [optimizer, schedule]).has_foreign_schedule
    with pytest.raises(ValueError, match="it is 0 now, as its schedule says"):
        Setting("lr", schedule).check(0.1)


def test_what_cannot_be_a_control() -> None:
    optimizer = sgd(0.1)
    with pytest.raises(TypeError, match="control 'lr' takes an optimizer"):
        Controls({"lr": 0.1})
    with pytest.raises(ValueError, match="an optimizer's controls are lr, weight_decay, momentum"):
        Controls({"betas": optimizer})
    with pytest.raises(ValueError, match="LBFGS has no weight_decay"):
        Controls({"weight_decay": torch.optim.LBFGS([torch.zeros(1, requires_grad=True)])})
    with pytest.raises(ValueError, match="is of one optimizer"):
        Controls({"lr": [optimizer, sgd(0.1)]})
    with pytest.raises(ValueError, match="cannot be called 'stop'"):
        Controls({"stop": print})
    with pytest.raises(TypeError, match="a control's name is text, not int"):
        Controls({1: print})  # type: ignore[dict-item]
    controls = Controls({"generator/lr": optimizer, "save": print})
    assert (controls.values(), list(controls.calls)) == ({"generator/lr": "0.1"}, ["save"])
