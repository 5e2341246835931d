"""`monitor upload [RUN…]`: bring runs into a store: what a killed training or an outage left behind, or any run."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.errors import DataError, MonitorError
from monitor.remote.urls import is_url, spool, spool_path, url_of
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.listing import RunInfo, load, scan
from monitor.runs.run_file import RUN_FILE
from monitor.runs.status import RunStatus


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, metavar="[RUN...]")
@click.option("--to", "target", metavar="URL", help="Where to, for runs that have no address yet: s3://bucket/runs.")
@click.option("--prune", is_flag=True, help="Remove the local copies of runs that have ended and are complete there.")
def upload(names: tuple[str, ...], target: str | None, prune: bool) -> None:
    """Upload what the store of each RUN still lacks: an address such as s3://bucket/runs/mlp, or a local path.

    Without a RUN, all runs that were logged to addresses on this machine. Runs upload themselves while they are logged;
    this is for what an outage or a killed process left behind, and with --to for any other run.
    """
    if target is not None and not is_url(target):
        raise click.BadParameter(f"{target!r} is not an address such as s3://bucket/runs.", param_hint="'--to'")
    if target is not None and not names:
        raise click.UsageError("--to needs a RUN.")
    failed = 0
    folders = _folders(names)
    if not folders:
        click.echo("nothing is left to upload")
    for folder in folders:
        url = url_of(folder) if target is None else f"{target.rstrip('/')}/{folder.name}"
        try:
            if url is None:
                raise DataError(f"{str(folder)!r} has no address; say where it goes with --to s3://bucket/runs")
            _upload(folder, url, prune=prune and target is None)
        except (OSError, MonitorError) as error:
            failed += 1
            click.echo("Error: " + escape_control_chars(" ".join(str(error).split())), err=True)
    if failed:
        fail(f"{failed:,} of {len(folders):,} run{'s are' if len(folders) != 1 else ' is'} not complete there", 1)


def _folders(names: tuple[str, ...]) -> list[Path]:
    """Return the run directories that the names stand for. Raises `DataError` if one has none."""
    if not names:
        return [run.path for run in scan(spool())] if spool().is_dir() else []
    found: dict[Path, None] = {}
    for name in names:
        path = spool_path(name) if is_url(name) else Path(name).absolute()
        runs = [path] if (path / RUN_FILE).is_file() else [run.path for run in scan(path)] if path.is_dir() else []
        if not runs:
            where = " on this machine" if is_url(name) else ""
            raise DataError(f"there is no run {name!r}{where}")
        found |= dict.fromkeys(runs)
    return list(found)


def _upload(folder: Path, url: str, *, prune: bool) -> None:
    """Upload one run, of all its processes. Raises `OSError`, `StoreError`, and `DataError`."""
    from monitor.remote.store import Store
    from monitor.remote.upload import RunUpload, ranks_of
    from monitor.remote.uploader import open_lock, take_lock
    from monitor.runs.resume import mark_lost_runs

    run, store, sent = load(folder), Store(url), 0
    for rank in ranks_of(folder):
        with open_lock(folder, rank) as lock:
            if not take_lock(lock):
                click.echo(f"{_text(url)}: its training uploads it")
                return
            if run.status is RunStatus.LOST and not rank:
                mark_lost_runs(folder)
            part = RunUpload(folder, store, rank)  # not before: what another one has uploaded is known now
            sent += part.left()
            part.step(is_final=True)
    click.echo(f"{_text(url)}: complete" + (f", {sent:,} bytes were missing" if sent else ""))
    if prune:
        _prune(folder, run)


def _prune(folder: Path, run: RunInfo) -> None:
    if run.status is RunStatus.RUNNING or len(list(scan(folder))) > 1:
        reason = "the run goes on" if run.status is RunStatus.RUNNING else "there are other runs in it"
        click.echo(f"{_text(folder)}: kept, because {reason}")
        return
    shutil.rmtree(folder)
    click.echo(f"{_text(folder)}: removed")


def _text(value: object) -> str:
    return escape_control_chars(str(value))
