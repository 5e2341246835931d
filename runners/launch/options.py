"""The command-line options that runners share, and the values they are read into.

Each option has a field of its name in one of the dataclasses; a command makes an instance of its click parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from monitor.commands.completion import complete_metrics, complete_runs, complete_sinks
from monitor.commands.option_values import GivenPath, NameChoice, PlaceToWrite, alerts, charts, prune, record, run_name
from runners.launch.validators import epoch_or_steps, finite, sinks, url

# What runners import when they run, which `monitor sweep` imports once for all trials; none of it starts a thread.
PRELOAD = (
    "runners.launch.job",
    "runners.data.images",
    "runners.training.loop",
    "runners.training.losses",
    "runners.training.models",
    "runners.training.optimizers",
    "torch._dynamo",  # which PyTorch imports at an optimizer's first step
)
# What may change in the middle of a run, which `monitor sweep --scheduler pbt` does.
CHANGEABLE = ("lr", "momentum", "weight_decay", "dropout")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """Where to log, and which dashboards to start."""

    sinks: tuple[str, ...]
    all_dashboards: bool  # where the user names no sink
    open_browser: bool
    wait: bool
    logdir: Path


@dataclass(frozen=True, kw_only=True)
class RunOptions(SinkOptions):
    """The options of every runner."""

    name: str | None = None
    seed: int = 0
    device: str = "auto"
    log_every: int = 1  # steps
    checkpoint_every: str | int | None = None  # "epoch", or steps
    resume: Path | None = None
    trust_options: bool = False
    log_ranks: bool = False
    alerts: tuple[str, ...] = ()
    stop_on_alert: bool = False
    prune: str | None = None
    output: bool = True
    record: str | None = None
    show: tuple[str, ...] = ()  # on the console
    charts: tuple[str, ...] = ()  # on dashboards
    steer: bool = False
    steer_from: Path | None = None
    in_group: bool = False  # the dashboards are those of a group of runs

    @property
    def may_stop(self) -> bool:
        """Whether an alert, or a rule that prunes, may end the training."""
        from monitor.delivery.pruning import parse_pruning

        return self.stop_on_alert or parse_pruning(self.prune).may_prune


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """The options of runners that train one model on one data set."""

    data: str
    data_dir: Path | None
    mnist_mirror: str | None
    epochs: int
    batch_size: int | None  # samples of all processes; None is all
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    scheduler: str


def sink_options(command: F) -> F:
    """Add the options of `SinkOptions`."""
    return _add(
        command,
        click.option("--sink", "sinks", multiple=True, callback=sinks, shell_complete=complete_sinks,
                     help="Where to log; repeatable. Also visdom://host:port/env.  "
                     "[default: tensorboard, visdom if it is installed, console]"),
        click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser."),
        click.option("--wait", is_flag=True, help="Keep the dashboards up at the end, until Ctrl-C."),
        click.option("--logdir", type=PlaceToWrite(file_okay=False, path_type=Path), default=Path("runs"),
                     help="Directory for the runs, or an address such as s3://bucket/runs."),
    )  # fmt: skip


def run_options(command: F) -> F:
    """Add the options of `RunOptions`."""
    return _add(
        command,
        sink_options,
        click.option("--name", callback=run_name, help="The run's name.  [default: runner, date and time]"),
        click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="The same seed gives the same run."),
        click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1, …"),
        click.option("--log-every", type=click.IntRange(min=1), default=1,
                     help="Steps from one point of train/loss to the next."),
        click.option("--checkpoint-every", metavar="epoch|STEPS", callback=epoch_or_steps,
                     help="Save a checkpoint that --resume can continue from."),
        click.option("--resume", type=PlaceToWrite(path_type=Path), metavar="RUN",
                     shell_complete=complete_runs,
                     help="Continue this run from its newest checkpoint, with its options; --epochs may be larger."),
        click.option("--trust-options", is_flag=True,
                     help="With --resume, accept the hosts and paths of the run's checkpoint without a question."),
        click.option("--log-ranks", is_flag=True, help="Under torchrun, also log each process's own loss."),
        click.option("--alert", "alerts", multiple=True, callback=alerts, metavar="RULE",
                     help="Such as 'test/loss > 2 * best for 3' or 'no progress for 10 minutes'; repeatable."),
        click.option("--stop-on-alert", is_flag=True, help="End the run at the first alert."),
        click.option("--prune", callback=prune, metavar="RULE",
                     help="End the run early unless it keeps up with its peers, such as "
                     "'test/accuracy max reduction_factor=3 peers=lr-search'; none: never.  "
                     "[default: as the sweep says]"),
        click.option("--steer", is_flag=True,
                     help="Let Visdom's page change the learning rate and the weight decay, pause, stop, and more."),
        click.option("--steer-from", type=GivenPath(path_type=Path), metavar="RUN", shell_complete=complete_runs,
                     help="Make the changes again that were made in this run, at the same steps."),
        click.option("--show", multiple=True, metavar="TAG", shell_complete=complete_metrics,
                     help="Show this metric on the console, such as train/loss or 'test/*'; repeatable.  "
                     "[default: up to four, those of held-out data first]"),
        click.option("--chart", "charts", multiple=True, callback=charts, metavar="NAME=TAG,TAG",
                     help="Show these curves in one chart, such as 'norms=grad_norm/*'; repeatable.  "
                     "[default: one chart per metric]"),
        click.option("--output/--no-output", default=True, help="Keep stdout and stderr in the run's output.log."),
        click.option("--record", callback=record, metavar="WHAT",
                     help="What to record: all, none, or some of system, git, packages.  "
                     "[default: MONITOR_RECORD, or all]"),
        click.option("--in-group", is_flag=True, hidden=True),
    )  # fmt: skip


def data_options(command: F) -> F:
    """Add the options that say where image data sets are."""
    return _add(
        command,
        click.option("--data-dir", type=GivenPath(path_type=Path),
                     help="Directory of the data sets; missing ones are downloaded into it.  [default: a user cache]"),
        click.option("--mnist-mirror", metavar="URL", callback=url, help="Download MNIST from here first."),
    )  # fmt: skip


def optimizer_options(command: F) -> F:
    """Add the options of the optimizer, except those whose default is the runner's."""
    fraction = click.FloatRange(min=0, max=1, max_open=True)
    return _add(
        command,
        click.option("--momentum", type=fraction, callback=finite, default=0.0, help="For sgd and rmsprop."),
        click.option("--weight-decay", type=click.FloatRange(min=0), callback=finite, default=0.0, help="L2 penalty."),
        click.option("--scheduler", type=NameChoice(["none", "step", "cosine"]), default="none",
                     help="Learning rate schedule: step divides it by ten after each third of the epochs."),
    )  # fmt: skip


def _add(command: F, *options: Callable[[F], F]) -> F:
    """Add options to a command, in the order of its help."""
    for option in reversed(options):
        command = option(command)
    return command


def data_directory(data_dir: Path | None) -> Path:
    """Return the user's data directory, or else the one that all runs share."""
    if data_dir is not None:
        return data_dir
    from platformdirs import user_cache_path

    return user_cache_path("training-monitor") / "data"
