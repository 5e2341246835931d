"""`monitor note`, `tag`, `mv`, and `rm`: change runs that have ended, in `run.json` and on every dashboard."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.completion import complete_runs
from monitor.commands.option_values import GivenPath, PlaceToRead, run_name
from monitor.errors import DataError
from monitor.remote.urls import cached_url, is_url
from monitor.render.text.escaping import escape_control_chars
from monitor.runs import editing
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
DEFAULT_LOGDIR = Path("runs")
LOGDIR_OR_STORE = click.option(
    "--logdir", type=PlaceToRead(file_okay=False, path_type=Path), default=DEFAULT_LOGDIR, show_default=True,
    help="Where to look for runs; also an address such as s3://bucket/runs.",
)  # fmt: skip
LOGDIR = click.option("--logdir", type=GivenPath(file_okay=False, path_type=Path), default=DEFAULT_LOGDIR,
                      show_default=True, help="Where to look for runs.")  # fmt: skip
RUN = click.argument("run", shell_complete=complete_runs)
RUNS = click.argument("runs", nargs=-1, metavar="RUN...", shell_complete=complete_runs)


@click.command(cls=MonitorCommand)
@RUN
@click.argument("text", required=False)
@LOGDIR_OR_STORE
def note(run: str, text: str | None, logdir: Path) -> None:
    """Add a note to RUN, a name, a path, or an address such as s3://bucket/runs/mlp, or list its notes.

    It is a text on the run's dashboards, and in run.json.
    """
    from monitor.dashboards.run_pages import show_texts
    from monitor.runs.listing import load

    if text is not None and not text.strip():
        raise click.BadParameter("is empty.", param_hint="'TEXT'")
    with _to_edit(run, logdir) as path:
        if text is not None:
            _attempt(lambda: editing.add_note(path, text))
        notes = load(path).fields.get("notes") or []
        if text is not None:
            show_texts(path, editing.NOTES_TAG, [str(entry.get("text")) for entry in notes])
            return
    for entry in notes:
        _say(f"{entry.get('time')}  {entry.get('text')}")


@click.command(cls=MonitorCommand)
@RUN
@click.argument("tags", nargs=-1)
@click.option("--remove", "removed", multiple=True, metavar="TAG", help="Take this tag off; repeatable.")
@LOGDIR_OR_STORE
def tag(run: str, tags: tuple[str, ...], removed: tuple[str, ...], logdir: Path) -> None:
    """Add tags to RUN, and list those it has; filter by them with monitor runs --filter 'tags~TAG'."""
    from monitor.dashboards.run_pages import show_texts
    from monitor.runs.listing import load

    for given in tags:
        if not given.strip() or not given.isprintable() or "," in given:
            raise click.BadParameter(f"{given!r} is not a tag: text without commas.", param_hint="'TAGS'")
    with _to_edit(run, logdir) as path:
        had = load(path).fields.get("tags") or []
        for name in removed:
            if name not in had:
                raise click.BadParameter(f"the run has no tag {name!r}{hint(name, had)}", param_hint="'--remove'")
        now = list(had)
        if tags or removed:
            now = _attempt(lambda: editing.set_tags(path, tags, removed))
            show_texts(path, editing.TAGS_TAG, [", ".join(now) or "none"])
    _say(", ".join(now) or "no tags")


@click.command(cls=MonitorCommand)
@RUN
@click.argument("name", callback=run_name)
@LOGDIR
def mv(run: str, name: str, logdir: Path) -> None:
    """Give RUN another NAME, on its dashboards too."""
    from monitor.dashboards.run_pages import rename_pages

    path = _one(run, logdir)
    target = _attempt(lambda: editing.rename(path, name))
    rename_pages(path, target)
    _say(f"{_shown(path)} is now {_shown(target)}")


@click.command(cls=MonitorCommand)
@RUNS
@click.option("--restore", is_flag=True, help="Move runs from the trash back; without a RUN, list the trash.")
@LOGDIR
def rm(runs: tuple[str, ...], restore: bool, logdir: Path) -> None:
    """Move runs of the log directory to the trash: names, paths, or patterns for names such as 'mlp-*'.

    The trash is a folder beside the log directory, such as runs.trash; remove it to free the disk space.
    """
    from monitor.comparison.compare import runs_to_change
    from monitor.dashboards.run_pages import remove_pages

    _refuse_addresses(runs)
    trash = editing.trash_of(logdir)
    if not runs and not restore:
        raise click.UsageError("Missing argument 'RUN...'.")
    if not runs:
        _list_trash(trash)
        return
    if restore:
        for path in runs_to_change(runs, trash):
            _say(f"restored: {_shown(_attempt(partial(editing.restore, path, logdir)))}")
        return
    paths = runs_to_change(runs, logdir)
    for path in paths:
        _attempt(partial(editing.refuse_active_below, path))  # before any of them is moved
    for path in paths:
        target = _attempt(partial(editing.remove, path, logdir))
        remove_pages(path)
        back = _restore_command(str(target.relative_to(trash)), logdir)
        _say(f"removed: {_shown(path)}; back with: {back}")


def _restore_command(name: str, logdir: Path) -> str:
    """Return the command that moves a run back from the trash, as a shell takes it."""
    where = [] if logdir == DEFAULT_LOGDIR else ["--logdir", str(logdir)]
    return shlex.join(["monitor", "rm", "--restore", *where, *(["--"] if name.startswith("-") else []), name])


def _list_trash(trash: Path) -> None:
    from monitor.events.files import runs_under
    from monitor.runs.listing import scan

    names = {run.name for run in scan(trash)} | set(runs_under(trash)) if trash.is_dir() else set()
    for name in sorted(names):
        _say(name)
    if not names:
        _say(f"{_shown(trash)} is empty")


@contextmanager
def _to_edit(name: str, logdir: Path) -> Iterator[Path]:
    """Give the directory of the run that a name or an address stands for, to be changed there."""
    store = cached_url(logdir)
    url = name if is_url(name) else f"{store}/{name}" if store is not None else None
    if url is None:
        yield _one(name, logdir)
        return
    from monitor.runs.store_editing import editable

    with editable(url) as path:
        yield path


def _one(name: str, logdir: Path) -> Path:
    """Return the path of the one run that a name stands for."""
    from monitor.comparison.compare import runs_to_change

    _refuse_addresses([name])
    found = runs_to_change([name], logdir)
    if len(found) > 1:
        raise DataError(f"{name!r} stands for {len(found)} runs{hint('', [_shown(path) for path in found])}; name one")
    return found[0]


def _refuse_addresses(names: Sequence[str]) -> None:
    for name in names:
        if is_url(name):
            raise DataError(
                f"{name!r} is in a store, where only its notes and tags can be changed: use the store's own tools, such"
                " as: aws s3 mv"
            )


def _attempt(action: Callable[[], T]) -> T:
    """Do something to a run; report an error of the file system in one line."""
    try:
        return action()
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)


def _say(line: str) -> None:
    """Print a line; names of runs, and what a run holds, may have control characters."""
    click.echo(escape_control_chars(line))


def _shown(path: Path) -> str:
    """Return a path as short as it can be from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
