"""Train logistic regression on a table or on images: `monitor train logistic`, or `python -m runners.logistic`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from monitor.commands.base import MonitorCommand
from monitor.commands.option_values import NameChoice
from runners.choices import ACTIVATIONS, IMAGE_DATASETS, OPTIMIZERS
from runners.launch.options import CHANGEABLE as CHANGEABLE
from runners.launch.options import PRELOAD as PRELOAD
from runners.launch.options import TrainOptions, data_directory, data_options, optimizer_options, run_options
from runners.launch.validators import finite

if TYPE_CHECKING:
    from runners.data.dataset import Dataset
    from runners.data.tables import Standardization, Table
    from runners.launch.job import Job
    from runners.training.losses import Loss

CONFIG_OPTIONS = (
    "epochs", "batch_size", "lr", "optimizer", "momentum", "weight_decay", "scheduler", "reduction", "standardize",
    "one_vs_rest", "initial_weight", "initial_bias", "seed",
)  # fmt: skip
GIVEN_CONFIG_OPTIONS = ("loss", "activation", "threshold_inclusive")  # in the config where they are given
TESTS_PER_FULL_BATCH_RUN = 20


class Defaults(NamedTuple):
    """The defaults of a data set's options; without a batch size, a batch is the whole training set."""

    epochs: int = 1000
    lr: float = 0.01
    batch_size: int | None = None
    optimizer: str = "sgd"
    reduction: str = "mean"
    standardize: bool = False
    initial_weight: float | None = None
    initial_bias: float | None = None
    log_every: int = 1


TABLE_DEFAULTS = {
    "hours": Defaults(),
    "hours3": Defaults(reduction="sum"),
    "lecture-lab": Defaults(lr=1.0, initial_weight=0.0, initial_bias=0.0),
    "csv": Defaults(epochs=100, lr=1.0, log_every=10),
    "heart": Defaults(lr=1.0, standardize=True),
    "breast-cancer": Defaults(epochs=300, lr=0.5, standardize=True),
}
IMAGE_DEFAULTS = Defaults(epochs=10, lr=0.001, batch_size=200, optimizer="adam")
TEST_ROW_INTERVALS = {"breast-cancer": 5}  # every fifth row is for testing; the other tables have no test set
TABLE_OPTIONS = (  # not for images
    "reduction", "standardize", "initial_weight", "initial_bias", "loss", "activation", "threshold_inclusive",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LogisticOptions(TrainOptions):
    """The options of `monitor train logistic`, with the defaults of the data filled in."""

    csv: Path | None
    reduction: str
    standardize: bool
    initial_weight: float | None
    initial_bias: float | None
    one_vs_rest: bool
    loss: str | None = None  # bce, or mse of the probability
    activation: str | None = None  # in place of the sigmoid in the loss
    threshold_inclusive: bool | None = None

    @property
    def uses_table(self) -> bool:
        """Whether the data are a table, not images."""
        return self.data in TABLE_DEFAULTS


@click.command(name="logistic", cls=MonitorCommand, context_settings={"show_default": True})
@click.option("--data", type=NameChoice([*TABLE_DEFAULTS, "auto", *IMAGE_DATASETS]), default="hours",
              help="A table, or images (softmax regression); csv with --csv FILE.")  # fmt: skip
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="A table of your own: features first, a label of 0 or 1 last; a header is optional.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data.  [default: depends on the data]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples per step.  [default: all; 200 images]")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), callback=finite,
              help="Learning rate.  [default: depends on the data]")  # fmt: skip
@click.option("--optimizer", type=NameChoice(OPTIMIZERS), help="One of torch.optim.  [default: sgd; adam for images]")
@optimizer_options
@click.option("--reduction", type=NameChoice(["sum", "mean"]), help="Of the binary cross entropy.  [default: mean]")
@click.option("--standardize/--no-standardize", default=None,
              help="Scale columns to mean 0 and deviation 1.  [default: depends on the data]")  # fmt: skip
@click.option("--initial-weight", type=float, callback=finite, help="Initial value of all weights.")
@click.option("--initial-bias", type=float, callback=finite, help="Initial value of the bias.")
@click.option("--loss", type=NameChoice(["bce", "mse"]), help="mse is the squared error of the probability.  "
              "[default: bce]")  # fmt: skip
@click.option("--activation", type=NameChoice(ACTIVATIONS),
              help="In place of the sigmoid; what it returns outside [0, 1] is clipped.")  # fmt: skip
@click.option("--threshold-inclusive", is_flag=True, default=None,
              help="Call a probability of exactly 0.5 class 1 (>=), and not class 0 (>).")  # fmt: skip
@click.option("--one-vs-rest", is_flag=True, help="For images: ten binary classifiers; the most confident one wins.")
@data_options
@run_options
def main(**params: Any) -> dict[str, float]:
    """Train logistic regression, and watch it: on a small table, a CSV file of your own, or images.

    The tables are hours, hours3, and lecture-lab (study and exams), heart (age and heart disease), and breast-cancer
    (measurements of tumors, from scikit-learn).
    """
    if params["csv"] is not None and _is_default("data"):
        params["data"] = "csv"
    if params["resume"] is None:  # a resumed run has its own data
        _check_combination(params)
    options = LogisticOptions(**_with_defaults(params))
    import torch

    from runners.launch.job import open_job
    from runners.logistic_report import LogisticReport
    from runners.training import models, optimizers
    from runners.training.checkpointing.state import TrainConfig
    from runners.training.evaluation import predict
    from runners.training.loop import train

    with open_job("logistic", options) as job:
        options = job.options
        _check_csv(options.data, options.csv)
        if job.distributed.world_size > 1 and options.reduction == "sum":
            raise click.BadParameter("sum runs on one process only.", param_hint="'--reduction'")
        table, scaling, data = _load_data(job)

        linear = torch.nn.Linear(data.train.x.shape[1], 1 if options.uses_table else len(data.classes))
        models.set_parameters(linear, options.initial_weight, options.initial_bias)
        model: torch.nn.Module = linear
        if options.activation is not None:
            parts = OrderedDict(linear=linear, activation=models.ACTIVATIONS[options.activation]())
            model = torch.nn.Sequential(parts)
        threshold = 0.0 if options.activation is None else 0.5

        loss_fn = _loss_fn(options)
        optimizer = optimizers.make_optimizer(
            options.optimizer, model.parameters(), options.lr, options.momentum, options.weight_decay
        )
        scheduler = optimizers.make_scheduler(options.scheduler, optimizer, options.epochs)

        sample_count = len(data.train.y)
        batch_size = min(options.batch_size or sample_count, sample_count)
        test_interval = max(1, options.epochs // TESTS_PER_FULL_BATCH_RUN)  # epochs, and so steps
        train_config = TrainConfig(
            epochs=options.epochs,
            batch_size=batch_size,
            device=job.device,
            seed=options.seed,
            log_every=options.log_every,
            test_every=test_interval if batch_size == sample_count else None,
            log_accuracy=True,
            predict=partial(predict, threshold=threshold, is_inclusive=bool(options.threshold_inclusive)),
            may_stop=options.may_stop,
        )
        config = {"runner": "logistic", "data": data.name, "device": str(job.device)}
        config |= {name: getattr(options, name) for name in CONFIG_OPTIONS} | {"batch_size": batch_size}
        config |= {name: value for name in GIVEN_CONFIG_OPTIONS if (value := getattr(options, name)) is not None}
        with job.open_run(config, data, model, optimizer, scheduler) as run:
            if table is None or scaling is None:
                return train(model, data, loss_fn, optimizer, scheduler, train_config, run)
            report = LogisticReport(
                table,
                scaling,
                model,
                run.log,
                has_odds=options.activation in (None, "sigmoid"),
                is_inclusive=bool(options.threshold_inclusive),
            )
            run.on_test = report.log_test
            if run.state.step == 0:
                report.log_test(0)
                report.log_straight_line(0)
            metrics = train(model, data, loss_fn, optimizer, scheduler, train_config, run)
            summary = report.summary()
            run.log.text("predictions", summary, train_config.epochs)
            if "console" not in options.sinks and job.distributed.rank == 0:  # the console sink prints texts itself
                click.echo(summary)
    return metrics


def _load_data(job: Job[LogisticOptions]) -> tuple[Table | None, Standardization | None, Dataset]:
    """Return the data set; of a table, also the table and how it was standardized."""
    from runners.data import images, tables

    options = job.options
    if not options.uses_table:
        directory = data_directory(options.data_dir)
        return None, None, job.load(lambda: images.load(options.data, directory, options.mnist_mirror))
    table = tables.read_csv(options.csv) if options.csv is not None else tables.TABLES[options.data]()
    data, scaling = table.to_dataset(options.standardize, TEST_ROW_INTERVALS.get(options.data))
    return table, scaling, data


def _loss_fn(options: LogisticOptions) -> Loss:
    from runners.training import losses

    if options.uses_table:
        if options.activation is not None:
            return partial(losses.binary_of_probabilities, reduction=options.reduction)
        return partial(losses.binary_mse if options.loss == "mse" else losses.binary, reduction=options.reduction)
    return losses.one_vs_rest if options.one_vs_rest else losses.log


def _is_default(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.DEFAULT


def _with_defaults(params: dict[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of the data set where the command line says nothing."""
    defaults = TABLE_DEFAULTS.get(params["data"], IMAGE_DEFAULTS)._asdict()
    if not _is_default("log_every"):
        del defaults["log_every"]
    else:
        params = {**params, "log_every": None}
    return {**params, **{name: value for name, value in defaults.items() if params[name] is None}}


def _check_combination(params: dict[str, Any]) -> None:
    """Raise `click.BadParameter` for options that do not go with the data."""
    uses_table = params["data"] in TABLE_DEFAULTS
    _check_csv(params["data"], params["csv"])
    if params["one_vs_rest"] and uses_table:
        raise click.BadParameter(f"goes with images: {', '.join(IMAGE_DATASETS)}.", param_hint="'--one-vs-rest'")
    if params["activation"] is not None and params["loss"] == "mse":
        raise click.BadParameter("goes with --loss bce alone.", param_hint="'--activation'")
    for name in TABLE_OPTIONS:
        if params[name] is not None and not uses_table:
            hint = f"'--{name.replace('_', '-')}'"
            raise click.BadParameter(f"goes with tables: {', '.join(TABLE_DEFAULTS)}.", param_hint=hint)


def _check_csv(data: str, csv: Path | None) -> None:
    if (data == "csv") != (csv is not None):
        problem = (
            f"does not go with --data {data}; leave one of them out." if csv is not None else "is needed by --data csv."
        )
        raise click.BadParameter(problem, param_hint="'--csv'")


if __name__ == "__main__":
    main(prog_name="python -m runners.logistic")
