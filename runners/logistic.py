"""Train logistic regression, on tables or images: `monitor train logistic`, or `python -m runners.logistic`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from monitor.commands.base import MonitorCommand
from runners.launch.options import (
    data_directory,
    data_options,
    optimizer_options,
    run_options,
)
from runners.launch.validators import finite
from runners.training.names import IMAGES, OPTIMIZERS

SETTINGS = (
    "epochs", "batch_size", "lr", "optimizer", "momentum", "weight_decay", "scheduler", "reduction", "standardize",
    "one_vs_rest", "initial_weight", "initial_bias", "seed",
)  # fmt: skip


class Defaults(NamedTuple):
    """What a data set is trained with, where the user says nothing else; no batch size means all rows at once."""

    epochs: int = 1000
    lr: float = 0.01
    batch_size: int | None = None
    optimizer: str = "sgd"
    reduction: str = "mean"
    standardize: bool = False
    initial: float | None = None  # of weights and bias
    log_every: int = 1
    test_every: int | None = None  # rows


ON_TABLES = {
    "hours": Defaults(),
    "hours3": Defaults(reduction="sum"),
    "lecture-lab": Defaults(lr=1.0, initial=0.0),
    "csv": Defaults(epochs=100, lr=1.0, log_every=10),
    "heart": Defaults(lr=1.0, standardize=True),
    "breast-cancer": Defaults(epochs=300, lr=0.5, standardize=True, test_every=5),
}
ON_IMAGES = Defaults(epochs=10, lr=0.001, batch_size=200, optimizer="adam")


@click.command(name="logistic", cls=MonitorCommand, context_settings={"show_default": True})
@click.option("--data", type=click.Choice([*ON_TABLES, "auto", *IMAGES]), default="hours",
              help="A small table, --csv, or images (softmax regression).")  # fmt: skip
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="For --data csv: features first, a label of 0 or 1 last, header or not.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data.  [default: that of the data]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples a step.  [default: all; 200 images]")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), callback=finite,
              help="Learning rate.  [default: that of the data]")  # fmt: skip
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="One of torch.optim.  [default: sgd; adam on images]")
@optimizer_options
@click.option("--reduction", type=click.Choice(["sum", "mean"]), help="Of the binary cross entropy.  [default: mean]")
@click.option("--standardize/--no-standardize", default=None, help="Scale the columns.  [default: that of the data]")
@click.option("--initial-weight", type=float, callback=finite, help="Where all weights start.")
@click.option("--initial-bias", type=float, callback=finite, help="Where the bias starts.")
@click.option("--one-vs-rest", is_flag=True, help="On images: ten binary classifiers, the surest one wins.")
@data_options
@run_options
def main(**given: Any) -> dict[str, float]:
    """Train logistic regression, and watch it: on hours of study, a CSV file, ages, tumours, or images."""
    table = given["data"] in ON_TABLES
    defaults = ON_TABLES.get(given["data"], ON_IMAGES)
    _check(given, table)
    for name in ("epochs", "batch_size", "lr", "optimizer", "reduction", "standardize"):
        if given[name] is None:
            given[name] = getattr(defaults, name)
    if click.get_current_context().get_parameter_source("log_every") is ParameterSource.DEFAULT:
        given["log_every"] = defaults.log_every
    for name in ("initial_weight", "initial_bias"):
        given[name] = defaults.initial if given[name] is None else given[name]
    import torch

    from runners.data import images, tables
    from runners.launch.job import open_job
    from runners.training import logistic_report, loop, losses, optimizers
    from runners.training.state import TrainConfig

    with open_job("logistic", given) as job:
        if job.processes.world_size > 1 and given["reduction"] == "sum":
            raise click.BadParameter("sum goes with one process.", param_hint="'--reduction'")
        if table:
            rows = tables.read_csv(given["csv"]) if given["csv"] else tables.TABLES[given["data"]]()
            dataset, scale = rows.to_dataset(given["standardize"], defaults.test_every)
            outputs = 1
            loss_of: losses.Loss = partial(losses.binary, reduction=given["reduction"])
        else:
            where = data_directory(given["data_dir"])
            dataset = job.load(lambda: images.load(given["data"], where, given["mnist_mirror"]))
            outputs = len(dataset.classes)
            loss_of = losses.one_vs_rest if given["one_vs_rest"] else losses.log
        model = torch.nn.Linear(dataset.train.x.shape[1], outputs)
        for parameter, value in ((model.weight, given["initial_weight"]), (model.bias, given["initial_bias"])):
            if value is not None:
                torch.nn.init.constant_(parameter, value)
        optimizer = optimizers.make(
            given["optimizer"], model.parameters(), given["lr"], given["momentum"], given["weight_decay"]
        )
        schedule = optimizers.SCHEDULERS[given["scheduler"]]
        scheduler = schedule(optimizer, given["epochs"]) if schedule else None
        size = min(given["batch_size"] or len(dataset.train.y), len(dataset.train.y))
        full = size == len(dataset.train.y)
        plan = TrainConfig(
            epochs=given["epochs"],
            batch_size=size,
            device=job.device,
            seed=given["seed"],
            log_every=given["log_every"],
            test_every=max(1, given["epochs"] // loop.MAX_PROGRESS_LINES) if full else None,
            log_accuracy=True,
            may_stop=given["stop_on_alert"],
            processes=job.processes,
        )
        settings = {name: given[name] for name in SETTINGS} | {"batch_size": size}
        config = {"runner": "logistic", "data": dataset.name, "device": str(job.device), **settings}
        with job.start(config, dataset, model, optimizer, scheduler) as (log, at, save, own):
            shown = logistic_report.LogisticReport(rows, scale, model, log) if table else None
            show = shown.curve if shown else None
            found = loop.train(
                model, dataset, optimizer, loss_of, log, plan, scheduler, show, at=at, save=save, own=own
            )
            if shown:
                closing = shown.closing()
                log.text("predictions", closing, plan.epochs)
                if "console" not in given["sinks"] and job.processes.rank == 0:  # which shows texts itself
                    click.echo(closing)
    return found


def _check(given: dict[str, Any], table: bool) -> None:
    """Refuse options that go with other data."""
    if (given["data"] == "csv") != (given["csv"] is not None):
        raise click.BadParameter("--data csv and --csv FILE go together.", param_hint="'--csv'")
    if given["one_vs_rest"] and table:
        raise click.BadParameter(f"goes with images: {', '.join(IMAGES)}.", param_hint="'--one-vs-rest'")
    for name in ("reduction", "standardize", "initial_weight", "initial_bias"):
        if given[name] is not None and not table:
            raise click.BadParameter(
                f"goes with tables: {', '.join(ON_TABLES)}.", param_hint=f"'--{name.replace('_', '-')}'"
            )


if __name__ == "__main__":
    main(prog_name="python -m runners.logistic")
