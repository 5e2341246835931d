"""`monitor serve visdom | tensorboard`: the servers of the dashboards, by default for this machine only."""

from __future__ import annotations

import os

import click

from monitor.commands.base import MonitorGroup
from monitor.commands.serving.serve_tensorboard import tensorboard
from monitor.commands.serving.serve_visdom import visdom


@click.group(cls=MonitorGroup, invoke_without_command=True)
@click.option("--status", is_flag=True, help="List the dashboards that are up.")
@click.option("--stop", is_flag=True, help="End the dashboards that runs have started and none uses.")
@click.pass_context
def serve(ctx: click.Context, status: bool, stop: bool) -> None:
    """Serve a dashboard until Ctrl-C."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a server needs no more; NumPy's would spin during its start
    if ctx.invoked_subcommand is not None:
        if status or stop:
            raise click.UsageError("--status and --stop go without a dashboard.")
        return
    if status and stop:
        raise click.UsageError("--status and --stop exclude each other.")
    if not (status or stop):
        raise click.exceptions.NoArgsIsHelpError(ctx)
    from monitor.dashboards.ownership import shared_servers

    for line in shared_servers.stop() if stop else shared_servers.describe():
        click.echo(line)


serve.add_command(visdom)
serve.add_command(tensorboard)
