"""Train linear regression on hours of study and points: `monitor train linear`, or `python -m runners.linear`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.option_values import NameChoice
from runners.choices import OPTIMIZERS
from runners.launch.options import CHANGEABLE as CHANGEABLE
from runners.launch.options import PRELOAD as PRELOAD
from runners.launch.options import TrainOptions, optimizer_options, run_options
from runners.launch.validators import finite

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from monitor import Logger

CONFIG_OPTIONS = (
    "epochs", "batch_size", "lr", "optimizer", "momentum", "weight_decay", "scheduler", "initial_weight",
    "initial_bias", "seed",
)  # fmt: skip
HOURS, POINTS = (1.0, 2.0, 3.0), (2.0, 4.0, 6.0)
QUERIED_HOURS = 4.0
TESTS_PER_RUN = 20


@dataclass(frozen=True, kw_only=True)
class LinearOptions(TrainOptions):
    """The options of `monitor train linear`."""

    data_dir: Path | None = None  # its data are in this file
    mnist_mirror: str | None = None
    initial_weight: float | None
    initial_bias: float | None


@click.command(name="linear", cls=MonitorCommand, context_settings={"show_default": True})
@click.option("--data", type=NameChoice(["points"]), default="points", help="Hours 1, 2, 3 and points 2, 4, 6.")
@click.option("--epochs", type=click.IntRange(min=1), default=500, help="Passes over the data.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples per step.  [default: all]")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), callback=finite, default=0.01, help="Learning rate.")
@click.option("--optimizer", type=NameChoice(OPTIMIZERS), default="sgd", help="One of torch.optim.")
@optimizer_options
@click.option("--initial-weight", type=float, callback=finite, help="Initial value of the weight.")
@click.option("--initial-bias", type=float, callback=finite, help="Initial value of the bias.")
@run_options
def main(**params: Any) -> dict[str, float]:
    """Fit a straight line to points by hours of study, with the mean squared error, and watch it."""
    options = LinearOptions(**params)
    import torch

    from runners.data.dataset import Dataset, Split
    from runners.launch.job import open_job
    from runners.training import losses, models, optimizers
    from runners.training.checkpointing.state import TrainConfig
    from runners.training.loop import train

    with open_job("linear", options) as job:
        options = job.options
        split = Split(torch.tensor(HOURS).unsqueeze(1), torch.tensor(POINTS))
        data = Dataset("points", split, None, ())
        model = torch.nn.Linear(1, 1)
        models.set_parameters(model, options.initial_weight, options.initial_bias)
        optimizer = optimizers.make_optimizer(
            options.optimizer, model.parameters(), options.lr, options.momentum, options.weight_decay
        )
        scheduler = optimizers.make_scheduler(options.scheduler, optimizer, options.epochs)
        batch_size = min(options.batch_size or len(HOURS), len(HOURS))
        train_config = TrainConfig(
            epochs=options.epochs,
            batch_size=batch_size,
            device=job.device,
            seed=options.seed,
            log_every=options.log_every,
            test_every=max(1, options.epochs // TESTS_PER_RUN) if batch_size == len(HOURS) else None,
            may_stop=options.may_stop,
        )
        config = {"runner": "linear", "data": data.name, "device": str(job.device)}
        config |= {name: getattr(options, name) for name in CONFIG_OPTIONS} | {"batch_size": batch_size}
        with job.open_run(config, data, model, optimizer, scheduler) as run:
            run.on_test = lambda step: _log_line(model, run.log, step)
            if run.state.step == 0:
                run.on_test(0)
            metrics = train(model, data, losses.regression, optimizer, scheduler, train_config, run)
            summary = _summary(model)
            run.log.text("predictions", summary, run.state.step)
            if "console" not in options.sinks and job.distributed.rank == 0:  # the console sink prints texts itself
                click.echo(summary)
    return metrics


def _log_line(model: nn.Linear, log: Logger, step: int) -> None:
    """Log the parameters as curves, and the line with the data."""
    import torch

    weight, bias = model.weight.item(), model.bias.item()
    log.scalars({"parameters/w": weight, "parameters/b": bias}, step)
    hours = torch.tensor([0.0, QUERIED_HOURS + 1])
    log.curve("line", hours, weight * hours + bias, step, "Hours", "Points", points=(HOURS, POINTS))


def _summary(model: nn.Linear) -> str:
    """Return the fitted line, and the points for hours that it was not fitted to."""
    weight, bias = model.weight.item(), model.bias.item()
    points = weight * QUERIED_HOURS + bias
    return f"points = {weight:.4f} × hours + {bias:.4f}; {QUERIED_HOURS:g} hours: {points:.4f} points"


if __name__ == "__main__":
    main(prog_name="python -m runners.linear")
