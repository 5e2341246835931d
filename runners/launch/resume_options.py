"""`--resume RUN` on the command line: the settings of the run again, and a refusal where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from monitor.runs.run import RUN_FILE, read_run_file, to_jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runners.training.distributed import DistributedContext

# What says how a run is looked at, or where it runs, not what it computes. Given anew, it is taken.
CHANGEABLE_OPTIONS = (
    "sinks", "all_dashboards", "data_dir", "mnist_mirror", "csv", "alerts", "stop_on_alert", "checkpoint_every",
    "log_ranks",
)  # fmt: skip
# What goes with one process, and is not kept.
UNSAVED_OPTIONS = ("resume", "name", "logdir", "open_browser", "device", "in_group")
PATH_OPTIONS = ("data_dir", "csv")


class ResumePoint(NamedTuple):
    """A run to go on with: its directory, and its checkpoint by name and by what is in it; no name for the start."""

    path: Path
    checkpoint: str
    state: dict[str, Any] | None


def to_keep(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as a checkpoint keeps them."""
    paths = {name: str(given[name].absolute()) for name in PATH_OPTIONS if given.get(name) is not None}
    return {name: to_jsonable(value) for name, value in given.items() if name not in UNSAVED_OPTIONS} | paths


def adopt(runner: str, given: dict[str, Any], processes: DistributedContext) -> ResumePoint | None:
    """Put a resumed run's options into `given`; return what to go on with, None for a new run.

    Under torchrun's restarts it is the run that the first start made. Raises `DataError` where the run or its
    checkpoint cannot be had, `click.BadParameter` where an option on the command line is another one than the run's.
    """
    from monitor.errors import DataError
    from monitor.runs.resume import refuse_running
    from runners.training import checkpoints, distributed

    def find() -> ResumePoint | str | None:
        try:
            path = _restarted(given["logdir"]) if distributed.restart_count() else None
            if path is not None and not checkpoints.list_checkpoints(path / checkpoints.CHECKPOINT_FOLDER):
                return ResumePoint(path, "", None)
            if path is None and given["resume"] is not None:
                path = _directory(given["resume"], given["logdir"])
                refuse_running(path)
            return ResumePoint(path, *checkpoints.load(path)) if path is not None else None
        except DataError as error:
            return str(error)

    resumed = processes.broadcast(find() if processes.rank == 0 else None)
    if isinstance(resumed, str):
        raise DataError(resumed)
    if resumed is None or resumed.state is None:
        return resumed  # type: ignore[no-any-return]
    if resumed.state["config"].get("runner") != runner:
        raise DataError(f"{str(resumed.path)!r} is a run of {resumed.state['config'].get('runner')}, not of {runner}")
    _take(given, resumed.state["options"], str(resumed.path))
    return resumed  # type: ignore[no-any-return]


def check(resumed: ResumePoint, config: Mapping[str, Any], data: list[Any]) -> None:
    """Refuse a checkpoint that is from another config or other data."""
    from monitor.errors import DataError
    from runners.training.checkpoints import differences

    if resumed.state is None:
        return
    apart = differences(
        {k: v for k, v in resumed.state["config"].items() if k != "device"},
        {k: v for k, v in config.items() if k != "device"},
    )
    if not apart and to_jsonable(resumed.state["data"]) != to_jsonable(data):
        apart = f"the data were {resumed.state['data']}, now {data}"
    if apart:
        where = f"the checkpoint {resumed.checkpoint!r} in {str(resumed.path)!r}"
        raise DataError(f"{where} is from another config: {apart}")


def _take(given: dict[str, Any], kept: Mapping[str, Any], run: str) -> None:
    ctx = click.get_current_context()
    for name, value in kept.items():
        by_user = ctx.get_parameter_source("sinks" if name == "all_dashboards" else name) is ParameterSource.COMMANDLINE
        if name not in given or (by_user and name in CHANGEABLE_OPTIONS):
            continue
        if by_user and to_jsonable(given[name]) != value:
            raise click.BadParameter(
                f"{to_jsonable(given[name])!r} is not what the run {run!r} has: {value!r}; "
                "leave it out, or start a new run.",
                param_hint=f"'--{name.replace('_', '-')}'",
            )
        if name in PATH_OPTIONS and value is not None:
            value = Path(value)
        given[name] = tuple(value) if isinstance(given[name], tuple) else value


def _directory(run: Path, logdir: Path) -> Path:
    """Return the run's directory: as it was given, or under the log directory."""
    return next((path for path in (run, logdir / run) if (path / RUN_FILE).is_file()), run)


def _restarted(logdir: Path) -> Path | None:
    """Return the run that the same torchrun started before."""
    from monitor.runs.process import parent_identity

    mine = parent_identity()
    for file in sorted(logdir.glob(f"*/{RUN_FILE}"), key=lambda file: file.stat().st_mtime, reverse=True):
        if read_run_file(file.parent).get("launcher") == mine:
            return file.parent
    return None
