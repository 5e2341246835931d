"""`monitor assets`: get and check the files for Visdom's page, and export them for a machine without a network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from monitor.commands.base import MonitorCommand, MonitorGroup, fail
from monitor.commands.option_values import GivenPath


@click.group(cls=MonitorGroup)
def assets() -> None:
    """Get and check the files for Visdom's page."""


@assets.command(cls=MonitorCommand)
@click.option("--from", "source", type=GivenPath(path_type=Path), help="Copy them from a folder or an exported zip.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this time.",
)
def fetch(source: Path | None, timeout: float) -> None:
    """Get missing files, with npm or from a folder or zip."""
    from rich.console import Console
    from rich.progress import Progress

    from monitor.dashboards.assets.cache import ASSET_HELP, cache_dir, fetch

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("files for Visdom's page", total=None)
        state = fetch(
            lambda line: click.echo(line, err=True),
            source,
            timeout=timeout,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if not state.complete:
        fail(
            f"some files for Visdom's page could not be fetched: {', '.join(state.bad + state.missing)}. {ASSET_HELP}",
            1,
        )
    click.echo(f"{len(state.good)} files in {cache_dir()}")


@assets.command(cls=MonitorCommand)
@click.argument("archive", metavar="FILE", type=GivenPath(path_type=Path))
def export(archive: Path) -> None:
    """Write the files to a zip, for `fetch --from` on another machine."""
    from monitor.dashboards.assets.cache import export

    export(archive)
    click.echo(f"wrote {archive}")


@assets.command(cls=MonitorCommand)
def status() -> int:
    """List missing and damaged files; exit status 1 if there are any."""
    from monitor.dashboards.assets.cache import ASSETS, cache_dir, verify

    state = verify(cache_dir())
    for problem, names in (("damaged", state.bad), ("missing", state.missing)):
        for name in names:
            click.echo(f"{problem}  {name}")
    click.echo(f"{len(state.good)} of {len(ASSETS)} files in {cache_dir()}")
    return 0 if state.complete else 1
