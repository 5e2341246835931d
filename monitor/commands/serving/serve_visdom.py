"""`monitor serve visdom`: live plots of one env, of a run, or of all runs of a log directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from click.core import ParameterSource

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.option_values import GivenPath, PlaceToRead
from monitor.commands.serving.server_options import (
    announcer,
    echo_at_once,
    prepare_logdir,
    server_options,
    watch_owners,
)
from monitor.dashboards.ownership.parent_watch import Pages
from monitor.machine.network import VISDOM_PORT_VARIABLE, free_port, is_loopback
from monitor.runs.processes.process import signals_as_exit

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command(cls=MonitorCommand)
@server_options(
    8097, VISDOM_PORT_VARIABLE, "Port to listen on, or 0 for any free one; if the default is in use, the next free one."
)
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path),
              help="Show all runs of this log directory, from their saved windows or their event files.")  # fmt: skip
@click.option("--env-dir", type=GivenPath(file_okay=False, path_type=Path),
              help="Where envs are loaded from, and the page saves them, such as a run's folder visdom.")  # fmt: skip
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
    from monitor.dashboards.launcher import default_data_folder

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
    lease = watch_owners(parent, pages)
    _prepare_assets(parent)
    if env_dir is not None and parent is None:
        _make_folder(env_dir)
    store = EnvStore(env_dir or default_data_folder("visdom", logdir))
    runs, newest, facts = None, store.newest() if env_dir is not None else None, {}
    if logdir is not None:
        prepare_logdir(logdir)
        runs = RunEnvs(logdir, store)
        newest, facts = runs.newest() or newest, {"logdir": str(logdir.resolve())}
        if username is not None:  # for the envs that this process makes
            os.environ.update(VISDOM_USERNAME=username, VISDOM_PASSWORD_FILE=str(password_file))
    page = f"/env/{quote(newest)}" if newest is not None and parent is None else ""
    ready = announcer("Visdom", open_browser, parent, lease, page, **facts)
    try:
        if ctx.get_parameter_source("port") is not ParameterSource.COMMANDLINE:
            port = free_port(host, port)
        server.serve(host, port, store, runs=runs, login=login, readonly=readonly, pages=pages, ready=ready)
    except OSError as error:
        fail(f"visdom cannot be served on {host} port {port}: {error.strerror or error}", 1)
    finally:
        if lease is not None and lease.claim():
            lease.remove()


def _make_folder(env_dir: Path) -> None:
    try:
        env_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"{str(env_dir)!r} cannot be created: {error.strerror or error}", param_hint="'--env-dir'"
        ) from error


def _prepare_assets(parent: int | None) -> None:
    """Get the files for Visdom's page, and report it: to the parent that waits for the address, or else to the user."""
    from monitor.dashboards.assets import cache as assets

    if parent is None:
        assets.ensure(*[lambda line: click.echo(line, err=True)] * 2)
        return
    with signals_as_exit():  # so that SIGTERM also ends the processes of a download
        assets.ensure(lambda line: echo_at_once(f"WARNING: {line}"), lambda line: echo_at_once(f"INFO: {line}"))


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
