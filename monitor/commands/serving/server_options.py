"""What both servers have: their options, whom they end with, and how they say where they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.dashboards.ownership.lease_files import BY_RUN, BY_USER
from monitor.dashboards.ownership.leases import Lease, server_lease
from monitor.dashboards.ownership.parent_watch import Pages, exit_with_last_lease, exit_with_parent
from monitor.remote.mirror import keep_current

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_HOST = "127.0.0.1"


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


def prepare_logdir(logdir: Path) -> None:
    """Download what is in a store, and say where there is nothing yet."""
    keep_current(logdir)
    if not logdir.is_dir():
        click.echo(f"There is no folder {str(logdir)!r} yet; new runs will appear.", err=True)


def watch_owners(parent: int | None, pages: Pages) -> Lease | None:
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


def echo_at_once(line: str) -> None:
    """Print a line on stdout, which a run may be waiting for."""
    click.echo(line)
    sys.stdout.flush()


def announcer(
    name: str, open_browser: bool, parent: int | None, lease: Lease | None, page: str = "", **facts: str
) -> Callable[[str], None]:
    """Return a function that prints the address of a server, for runs and people, and opens it if that is wanted.

    `page` is the path of the page to look at first.
    """
    started_by = BY_USER if parent is None else BY_RUN

    def announce(url: str) -> None:
        if lease is not None:
            lease.publish(name, url, by=started_by, **facts)
        echo_at_once(f"{name}: {url}{page}")
        if open_browser:
            import webbrowser

            webbrowser.open(url + page)

    return announce
