"""`monitor serve visdom | tensorboard`: the servers of the dashboards, by default for this machine only."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click
from click.core import ParameterSource

from monitor.commands.base import MonitorCommand, MonitorGroup, fail
from monitor.commands.option_values import GivenPath, PlaceToRead
from monitor.dashboards.launcher import default_data_folder
from monitor.dashboards.ownership.lease_files import BY_RUN, BY_USER
from monitor.dashboards.ownership.leases import Lease, server_lease
from monitor.dashboards.ownership.parent_watch import Pages, exit_with_last_lease, exit_with_parent
from monitor.machine.network import TENSORBOARD_PORT_VARIABLE, VISDOM_PORT_VARIABLE, free_port, is_loopback
from monitor.remote.mirror import keep_current
from monitor.runs.processes.process import signals_as_exit

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_HOST = "127.0.0.1"


@click.group(cls=MonitorGroup, invoke_without_command=True)
@click.option("--status", is_flag=True, help="List the dashboards that are up.")
@click.option("--stop", is_flag=True, help="End the dashboards that runs have started and none uses.")
@click.pass_context
def serve(ctx: click.Context, status: bool, stop: bool) -> None:
    """Serve a dashboard until Ctrl-C."""
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


def server_options(default_port: int, port_variable: str, port_help: str) -> Callable[[F], F]:
    """Add the options that both servers have."""

    def add(command: F) -> F:
        for option in (
            click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser."),
            click.option("--parent", type=int, hidden=True, help="End when this process ends."),
            click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on."),
            click.option(
                "--port",
                type=click.IntRange(0, 65535),
                default=default_port,
                show_default=True,
                help=port_help,
                envvar=port_variable,
                show_envvar=True,
            ),
        ):
            command = option(command)
        return command

    return add


@serve.command(cls=MonitorCommand)
@server_options(
    8097, VISDOM_PORT_VARIABLE, "Port to listen on, or 0 for any free one; if the default is in use, the next free one."
)
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path),
              help="Show all runs of this log directory, from their saved windows or their event files.")  # fmt: skip
@click.option("--env-dir", type=GivenPath(file_okay=False, path_type=Path),
              help="Where envs are loaded from and saved, such as a run's folder visdom.")  # fmt: skip
@click.option("--username", help="Require a login; needs --password-file.")
@click.option("--password-file", type=GivenPath(exists=True, dir_okay=False, path_type=Path),
              help="A file with the password in its first line.")  # fmt: skip
@click.option("--readonly", is_flag=True, help="Allow no changes from the page.")
@click.pass_context
def visdom(
    ctx: click.Context,
    host: str,
    port: int,
    logdir: Path | None,
    env_dir: Path | None,
    username: str | None,
    password_file: Path | None,
    readonly: bool,
    parent: int | None,
    open_browser: bool,
) -> None:
    """Serve Visdom, for live plots."""
    try:
        from monitor.dashboards.visdom import server
        from monitor.dashboards.visdom.env_store import EnvStore
        from monitor.dashboards.visdom.run_envs import RunEnvs
    except ImportError as error:
        raise click.UsageError(
            f"serve visdom needs packages that are not installed ({error.name}); pip install 'training-monitor[visdom]'"
        ) from error
    login = _read_login(username, password_file, server.Login)
    if login is None and not is_loopback(host):
        raise click.BadParameter(
            f"{host!r} can be reached from other machines: set a login with --username NAME and --password-file FILE.",
            param_hint="'--host'",
        )
    pages = Pages()
    lease = _watch_owners(parent, pages)
    _prepare_assets(parent)
    if env_dir is not None and parent is None:
        _make_folder(env_dir)
    store = EnvStore(env_dir or default_data_folder("visdom", logdir))
    runs, newest, facts = None, store.newest() if env_dir is not None else None, {}
    if logdir is not None:
        _prepare_logdir(logdir)
        runs = RunEnvs(logdir, store)
        newest, facts = runs.newest() or newest, {"logdir": str(logdir.resolve())}
        if username is not None:  # for the envs that this process makes
            os.environ.update(VISDOM_USERNAME=username, VISDOM_PASSWORD_FILE=str(password_file))
    page = f"/env/{quote(newest)}" if newest is not None and parent is None else ""
    ready = _announcer("Visdom", open_browser, parent, lease, page, **facts)
    try:
        if ctx.get_parameter_source("port") is not ParameterSource.COMMANDLINE:
            port = free_port(host, port)
        server.serve(host, port, store, runs=runs, login=login, readonly=readonly, pages=pages, ready=ready)
    except OSError as error:
        fail(f"visdom cannot be served on {host} port {port}: {error.strerror or error}", 1)
    finally:
        if lease is not None and lease.claim():
            lease.remove()


@serve.command(cls=MonitorCommand)
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
    pages = Pages()
    lease = _watch_owners(parent, pages)
    from monitor.dashboards.tensorboard import tensorboard_server

    view = None
    keep_current(logdir)
    try:
        if expression is not None or last is not None or quick:
            from monitor.commands.serving.served_runs import make_view

            view = make_view(logdir, expression, last, full=quick is False)
        else:
            _tell_missing(logdir)
        # A view is not what a run looks for that wants its log directory served.
        facts = {"logdir" if view is None else "view_of": str(logdir.resolve())}
        ready = _announcer("TensorBoard", open_browser, parent, lease, **facts)
        tensorboard_server.serve(host, port, logdir, view=view, pages=pages, ready=ready)
    except OSError as error:
        fail(f"tensorboard cannot be served on {host} port {port}: {error.strerror or error}", 1)
    finally:
        if view is not None:
            view.close()
        if lease is not None and lease.claim():
            lease.remove()


def _make_folder(env_dir: Path) -> None:
    try:
        env_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"{str(env_dir)!r} cannot be created: {error.strerror or error}", param_hint="'--env-dir'"
        ) from error


def _prepare_logdir(logdir: Path) -> None:
    """Download what is in a store, and say where there is nothing yet."""
    keep_current(logdir)
    _tell_missing(logdir)


def _tell_missing(logdir: Path) -> None:
    if not logdir.is_dir():
        click.echo(f"There is no folder {str(logdir)!r} yet; new runs will appear.", err=True)


def _watch_owners(parent: int | None, pages: Pages) -> Lease | None:
    """End this server with the last run that uses it, or with `parent`; return its lease file if it has one.

    A server that the user started has a file too, by which runs find it, and ends with Ctrl-C.
    """
    if parent is None:
        return Lease.create()
    lease = server_lease()
    if lease is None:
        exit_with_parent(parent)
    else:
        exit_with_last_lease(lease, pages)
    return lease


def _prepare_assets(parent: int | None) -> None:
    """Get the files for Visdom's page, and report it: to the parent that waits for the address, or else to the user."""
    from monitor.dashboards.assets import cache as assets

    if parent is None:
        assets.ensure(*[lambda line: click.echo(line, err=True)] * 2)
        return
    with signals_as_exit():  # so that SIGTERM also ends the processes of a download
        assets.ensure(lambda line: _echo(f"WARNING: {line}"), lambda line: _echo(f"INFO: {line}"))


def _echo(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


def _read_login(username: str | None, password_file: Path | None, login_type: Callable[[str, str], Any]) -> Any:
    """Return the login of the two options, or None without them."""
    if (username is None) != (password_file is None):
        raise click.UsageError("--username and --password-file go together.")
    if username is None or password_file is None:
        return None
    password = password_file.read_text("utf-8").partition("\n")[0].rstrip("\r")
    if not (username and password):
        raise click.UsageError(f"--username is empty, or the first line of {password_file} has no password.")
    return login_type(username, password)


def _announcer(
    name: str, open_browser: bool, parent: int | None, lease: Lease | None, page: str = "", **facts: str
) -> Callable[[str], None]:
    """Return a function that prints the address of a server, for runs and people, and opens it if that is wanted.

    `page` is the path of the page to look at first.
    """
    started_by = BY_USER if parent is None else BY_RUN

    def announce(url: str) -> None:
        if lease is not None:
            lease.publish(name, url, by=started_by, **facts)
        _echo(f"{name}: {url}{page}")
        if open_browser:
            webbrowser.open(url + page)

    return announce
