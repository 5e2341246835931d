"""`--resume RUN` on the command line: the run's options again, and errors for those that cannot change."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from monitor.errors import DataError, MonitorError
from monitor.remote.claims import to_resume
from monitor.rules.halving import NO_RULE
from monitor.runs.jsonable import to_jsonable
from monitor.runs.listing import scan
from monitor.runs.run_file import RUN_FILE, read_run_file
from monitor.runs.settings.convert import read_settings, to_settings
from monitor.runs.status import RunStatus
from monitor.runs.trials.trial import current_population
from monitor.suggestions import hint
from runners.launch.restarts import restarted_run
from runners.launch.resume_trust import confirm_outside_options, is_given
from runners.launch.saved_options import check_saved_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.runs.trials.trial import Population
    from runners.launch.options import RunOptions
    from runners.training.distributed import DistributedContext

# They say how a run is watched, where its files are, or how long it is, so the command line may change them.
CHANGEABLE_OPTIONS = (
    "sinks", "all_dashboards", "data_dir", "mnist_mirror", "csv", "alerts", "stop_on_alert", "prune",
    "checkpoint_every", "log_ranks", "epochs", "charts",
)  # fmt: skip
# They concern one process, so a checkpoint does not keep them.
UNSAVED_OPTIONS = (
    "resume",
    "name",
    "logdir",
    "open_browser",
    "device",
    "in_group",
    "trust_options",
    "output",
    "record",
    "show",
    "steer",
    "steer_from",
    "wait",
)
PATH_OPTIONS = ("data_dir", "csv")

OptionsT = TypeVar("OptionsT", bound="RunOptions")


class ResumePoint(NamedTuple):
    """The run to resume, and its checkpoint; without one, the run starts again from the beginning."""

    path: Path
    checkpoint_name: str = ""
    checkpoint: dict[str, Any] | None = None
    is_restart: bool = False  # of this job, by torchrun or a sweep
    population: Population | None = None  # of which the run is a trial

    @property
    def step(self) -> int:
        """The step to resume from."""
        return 0 if self.checkpoint is None else int(self.checkpoint["at"]["step"])

    @property
    def donor(self) -> int | None:
        """The trial whose checkpoint it is, if it is not the run's own."""
        known = self.population
        return None if known is None or known.checkpoint != self.checkpoint_name else known.donor

    @property
    def free_options(self) -> tuple[str, ...]:
        """The options that may differ from those of the checkpoint, in a trial of a population."""
        return () if self.population is None else self.population.options

    @property
    def epochs_begun(self) -> int:
        """How many epochs the training has done or begun."""
        at = {"epoch": 1, "step": 0, "first": 0} if self.checkpoint is None else self.checkpoint["at"]
        return int(at["epoch"] - (at["step"] == at["first"]))

    def changes_made(self, otherwise: int, known: int) -> int:
        """Return how many of the `known` changes from a dashboard the checkpoint has; by default, `otherwise`."""
        count = None if self.checkpoint is None else self.checkpoint.get("changes")
        return count if type(count) is int and 0 <= count <= known else otherwise

    @property
    def config(self) -> dict[str, Any]:
        """The config that the checkpoint keeps."""
        return {} if self.checkpoint is None else dict(self.checkpoint["config"])

    @property
    def saved_options(self) -> dict[str, Any]:
        """The options that the checkpoint keeps."""
        return {} if self.checkpoint is None else dict(self.checkpoint["options"])


def options_to_save(options: RunOptions) -> dict[str, Any]:
    """Return the options as a checkpoint keeps them, as values that JSON has, with absolute paths."""
    saved = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name not in UNSAVED_OPTIONS:
            saved[field.name] = str(value.absolute()) if isinstance(value, Path) else to_jsonable(value)
    return saved


def find_resume_point(
    runner: str, options: RunOptions, distributed: DistributedContext, launchers: list[dict[str, Any]]
) -> ResumePoint | None:
    """Return the run to resume, None for a new run; waits for all processes.

    It is the run of `--resume`, or after a restart by one of the `launchers`, or by a sweep, the run that these
    processes had started. Raises `DataError` if it has no usable checkpoint, still runs, or is a run of another runner.
    """
    point_or_error = distributed.broadcast(_find(runner, options, launchers) if distributed.rank == 0 else None)
    if isinstance(point_or_error, str):
        raise DataError(point_or_error)
    point: ResumePoint | None = point_or_error
    return point


def _find(runner: str, options: RunOptions, launchers: list[dict[str, Any]]) -> ResumePoint | str | None:
    """Find the run to resume, on rank 0; return an error as text, for all processes to raise."""
    from monitor.runs.resume import refuse_running
    from runners.training.checkpointing import checkpoints

    try:
        path = restarted_run(options.logdir, launchers) or _earlier_attempt(options)
        is_restart = path is not None
        if path is not None and not checkpoints.list_checkpoints(path / checkpoints.CHECKPOINT_FOLDER):
            return ResumePoint(path, is_restart=True)
        if path is None and options.resume is not None:
            path = run_directory(options.resume, options.logdir)
            refuse_running(path)
            _refuse_pruned(path, options.prune)
        if path is None:
            return None
        point = ResumePoint(path, *checkpoints.load(path), is_restart, current_population() if is_restart else None)
        other = point.config.get("runner")
        if other != runner:
            raise DataError(f"{str(path)!r} is a run of {other}, not of {runner}")
        check_saved_options(type(options), point.saved_options, point.checkpoint_name)
        if not is_restart:  # otherwise the run is this job's own
            confirm_outside_options(options, path, point.saved_options)
        return point
    except MonitorError as error:
        return str(error)


def _refuse_pruned(path: Path, prune: str | None) -> None:
    """Raise `DataError` for a run that its peers have pruned, unless `prune` says that no rule does."""
    fields = read_run_file(path)
    if fields["status"] == RunStatus.PRUNED and prune != NO_RULE:
        reason = fields.get("error")
        raise DataError(f"{str(path)!r} was pruned ({reason}); to train it on all the same, add --prune none")


def restore_options(options: OptionsT, point: ResumePoint) -> OptionsT:
    """Return `options` with the values that the run had, except those that the command line may change and does.

    The log directory is the one that the run is in.

    Raises `click.BadParameter` if the command line changes another one.
    """
    if point.checkpoint is None:
        return options
    if is_given("epochs") and getattr(options, "epochs", point.epochs_begun) < point.epochs_begun:
        message = f"the run {str(point.path)!r} is in epoch {point.epochs_begun} already; give more to train longer."
        raise click.BadParameter(message, param_hint="'--epochs'")
    names = {field.name for field in fields(options)} - {*UNSAVED_OPTIONS}
    is_elsewhere = not point.is_restart and not is_given("logdir") and not _is_below(point.path, options.logdir)
    restored: dict[str, Any] = {"logdir": point.path.parent} if is_elsewhere else {}
    for name, saved in point.saved_options.items():
        is_set = is_given("sinks" if name == "all_dashboards" else name)
        if name not in names or (is_set and name in (*CHANGEABLE_OPTIONS, *point.free_options)):
            continue
        value = getattr(options, name)
        if is_set and to_jsonable(value) != saved:
            raise click.BadParameter(
                f"{to_jsonable(value)!r} is not what the run {str(point.path)!r} has: {saved!r}; "
                "leave it out, or start a new run.",
                param_hint=f"'--{name.replace('_', '-')}'",
            )
        if name in PATH_OPTIONS and saved is not None:
            restored[name] = Path(saved)
        else:
            restored[name] = tuple(saved) if isinstance(value, tuple) else saved
    return replace(options, **restored)


def check_config(point: ResumePoint, config: Mapping[str, Any], fingerprint: list[Any]) -> None:
    """Raise `DataError` if the checkpoint is from another config or other data.

    The device may differ, the number of epochs if the command line gives it, and what a population changes.
    """
    from runners.training.checkpointing.checkpoints import differences

    if point.checkpoint is None:
        return
    free = {"device", *(("epochs",) if is_given("epochs") else ()), *point.free_options}
    configs = (read_settings(point.checkpoint["config"]), to_settings(config))
    before, now = ({k: v for k, v in c.items() if k not in free} for c in configs)
    changes = differences(before, now)
    if not changes and to_jsonable(point.checkpoint["data"]) != to_jsonable(fingerprint):
        changes = f"the data were {point.checkpoint['data']}, now {fingerprint}"
    if changes:
        checkpoint = f"the checkpoint {point.checkpoint_name!r} in {str(point.path)!r}"
        raise DataError(f"{checkpoint} is from another config: {changes}")


def run_directory(run: Path, logdir: Path) -> Path:
    """Return the run's directory: the path itself, or the path under the log directory.

    A run in a store is downloaded if it is not here. Raises `DataError`, and `StoreError` for a store that fails.
    """
    for path in (run, logdir / run):
        if (to_resume(path) / RUN_FILE).is_file():
            return path
    known = [info.name for info in scan(logdir)] if logdir.is_dir() else []
    raise DataError(f"there is no run {str(run)!r}{hint(str(run), known, f'in {logdir}')}")


def _is_below(run: Path, logdir: Path) -> bool:
    """Tell whether a run is in a log directory."""
    return run.absolute().is_relative_to(logdir.absolute())


def _earlier_attempt(options: RunOptions) -> Path | None:
    """Return the run that an earlier process of the same trial of a sweep has left."""
    from monitor.runs.trials.trial import earlier_attempt

    return earlier_attempt(options.logdir / options.name) if options.name is not None else None
