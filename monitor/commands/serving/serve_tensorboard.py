"""`monitor serve tensorboard`: the runs of a log directory, or those of them that are asked for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.option_values import PlaceToRead
from monitor.commands.serving.server_options import (
    announcer,
    prepare_logdir,
    server_options,
    watch_owners,
)
from monitor.commands.serving.view_process import ViewProcess
from monitor.dashboards.ownership.parent_watch import Pages
from monitor.machine.network import TENSORBOARD_PORT_VARIABLE


@click.command(cls=MonitorCommand)
@server_options(6006, TENSORBOARD_PORT_VARIABLE, "Port to listen on; if it is in use, the next free one.")
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where the runs are; also an address such as s3://bucket/runs.")  # fmt: skip
@click.option("--filter", "expression", metavar="EXPRESSION",
              help="Load matching runs alone, as in 'lr<0.1 and status==finished'.")  # fmt: skip
@click.option("--last", type=click.IntRange(1), metavar="N", help="Load the N newest of them alone.")
@click.option("--quick/--full", default=None,
              help="Load large runs in seconds, by the curves in their indexes, or with all of their points.  "
              "[default: quick with --filter or --last]")  # fmt: skip
def tensorboard(
    host: str,
    port: int,
    logdir: Path,
    expression: str | None,
    last: int | None,
    quick: bool | None,
    parent: int | None,
    open_browser: bool,
) -> None:
    """Serve TensorBoard for the runs of a log directory."""
    view = None
    if expression is not None or last is not None or quick:  # a process of its own, which starts beside this one
        view = ViewProcess(logdir, expression, last, full=quick is False)
    with view or nullcontext():
        pages = Pages()
        lease = watch_owners(parent, pages)
        from monitor.dashboards.tensorboard import tensorboard_server

        if view is None:
            prepare_logdir(logdir)
        # A view is not what a run looks for that wants its log directory served.
        facts = {"logdir" if view is None else "view_of": str(logdir.resolve())}
        ready = announcer("TensorBoard", open_browser, parent, lease, **facts)
        try:
            tensorboard_server.serve(host, port, logdir, view=view, pages=pages, ready=ready)
        except OSError as error:
            fail(f"tensorboard cannot be served on {host} port {port}: {error.strerror or error}", 1)
        finally:
            if lease is not None and lease.claim():
                lease.remove()
