"""A runner's run, from its dashboards' start to the line that says how to look at it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import quote

import click

from monitor import Logger, Run, Sink
from monitor.dashboards import children
from monitor.dashboards.children import Dashboard
from monitor.sinks import registry

if TYPE_CHECKING:
    from monitor.sinks.visdom import VisdomSink

log = logging.getLogger("monitor")


@contextmanager
def start(runner: str, config: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Logger]:
    """Open the logger of a run, and the dashboards it streams to; say at the end where it is.

    Ctrl-C and SIGTERM end it in good order. On a terminal the dashboards stay up after the training, until Ctrl-C.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(_signals_as_exit())
        run = _run(runner, config, given)
        try:
            sinks = [registry.make(spec) for spec in given["sinks"]]
            boards = _dashboards(sinks, run.path / "visdom", lambda sink: sink.url_of(run), given, cleanup)
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
            run.finish(
                "interrupted" if interrupted else "failed", f"{type(error).__name__} while the dashboards started"
            )
            raise
        try:
            alerts, stop = given.get("alerts", ()), given.get("stop_on_alert", False)
            with Logger(run, sinks, alerts=alerts, stop_on_alert=stop) as logger:
                yield logger
        except KeyboardInterrupt:
            if run.status == "stopped":
                _leave_stopped(run)
            _say(f"Interrupted. The run so far is in {run.path}", err=True)
            sys.exit(130)
        finally:
            kept = _save(run, sinks)
        if run.status == "stopped":
            _leave_stopped(run)
        _say(f"Run: {run.path}")
        if not given.get("in_group"):
            events = given["logdir"] if any(sink.name == "tensorboard" for sink in sinks) else None
            wait(boards, events, run.path / "visdom" if kept else None)


@contextmanager
def group(folder: Path, given: Mapping[str, Any]) -> Iterator[Group]:
    """Start the dashboards for several runs under `folder`; Ctrl-C and SIGTERM end them."""
    with ExitStack() as cleanup:
        cleanup.enter_context(_signals_as_exit())
        folder.mkdir(parents=True, exist_ok=True)
        made = {spec: registry.make(spec) for spec in given["sinks"]}
        sinks = list(made.values())
        page = f"/env/{folder.name}_comparison"
        boards = _dashboards(sinks, folder / "visdom", lambda sink: sink.url + page, given, cleanup)
        yield Group(boards, {spec: sink for spec, sink in made.items() if sink in sinks})


class Group:
    """The dashboards and the sinks of several runs."""

    def __init__(self, boards: list[Dashboard], sinks: dict[str, Sink]) -> None:
        self.boards = boards
        self._sinks = sinks

    def specs(self, env: str) -> list[str]:
        """Return the sinks of a run, as the command line takes them."""
        return [self._visdom_spec(sink, env) if sink.name == "visdom" else spec for spec, sink in self._sinks.items()]

    def visdom(self, env: str) -> VisdomSink | None:
        """Return a sink that shows an env of its own, where there is a Visdom server."""
        for sink in self._sinks.values():
            if sink.name == "visdom":
                return cast("VisdomSink", registry.make(self._visdom_spec(sink, env)))
        return None

    def wrote(self, name: str) -> bool:
        """Tell whether a sink of this name is among them."""
        return any(sink.name == name for sink in self._sinks.values())

    def _visdom_spec(self, sink: Sink, env: str) -> str:
        return f"visdom://{cast('VisdomSink', sink).url.partition('://')[2]}/{quote(env)}"


def wait(boards: list[Dashboard], events: Path | None, windows: Path | None) -> None:
    """On a terminal, keep the dashboards up until Ctrl-C; elsewhere, say how to look at what was written."""
    if any(board.process for board in boards) and sys.stdout.isatty():
        _say("Training finished; dashboards stay up until Ctrl-C")
        _wait_for_ctrl_c()
        return
    ways = [f"monitor serve tensorboard --logdir {events}"] * (events is not None)
    ways += [f"monitor serve visdom --env-dir {windows}"] * (windows is not None)
    for number, way in enumerate(ways):
        _say(("            or: " if number else "Look at it with: ") + way)


def _leave_stopped(run: Run) -> NoReturn:
    _say(f"Stopped by an alert. The run so far is in {run.path}", err=True)
    sys.exit(1)


def _say(line: str, err: bool = False) -> None:
    """Print a line, as long as somebody reads it: a closed pipe or terminal must not end a training."""
    try:
        click.echo(line, err=err)
    except OSError:
        setattr(sys, "stderr" if err else "stdout", Path(os.devnull).open("w"))  # noqa: SIM115 - for the rest of it


def _run(runner: str, config: Mapping[str, Any], given: Mapping[str, Any]) -> Run:
    name = given["name"] or f"{runner}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        return Run(given["logdir"] / name, config)
    except OSError as error:
        raise click.BadParameter(
            f"{str(given['logdir'])!r} cannot be written: {error.strerror or error}", param_hint="'--logdir'"
        ) from error


def _dashboards(
    sinks: list[Sink],
    folder: Path,
    page_of: Callable[[VisdomSink], str],
    given: Mapping[str, Any],
    cleanup: ExitStack,
) -> list[Dashboard]:
    """Find or start the servers behind the sinks, and print their addresses; a Visdom sink without one is taken out."""
    starting: list[tuple[Dashboard, VisdomSink | None]] = []
    for sink in sinks:
        if sink.name == "visdom":
            starting.append((_visdom(cast("VisdomSink", sink), folder), cast("VisdomSink", sink)))
            cleanup.callback(starting[-1][0].stop)
    if given["all_dashboards"]:
        starting.append((children.tensorboard(given["logdir"]), None))
        cleanup.callback(starting[-1][0].stop)
    pages: list[str] = []
    boards: list[Dashboard] = []
    for board, shown in starting:  # all of them are on their way by now
        if not board.wait(log.warning):
            if shown is not None:
                sinks.remove(shown)
            continue
        if shown is not None and board.process is not None:
            shown.connect_to(board.url)
        boards.append(board)
        pages.append(board.url if shown is None else page_of(shown))
        _say(f"{board.name}: {pages[-1]}")
    if given["open_browser"] and pages:
        webbrowser.open(pages[0])
    return boards


def _visdom(sink: VisdomSink, folder: Path) -> Dashboard:
    """Find the sink's server, or start one where the sink's address is on this machine and nobody listens there."""
    url = f"http://{sink.host}:{sink.port}"
    if sink.given and (children.listens(sink.host, sink.port) or not children.is_local(sink.host)):
        return Dashboard("Visdom", url)  # the user named it; the sink copes with what it does
    if not sink.given and children.answers_as_visdom(url):
        return Dashboard("Visdom", url)
    from monitor.dashboards import assets

    assets.ensure(log.warning, log.info)
    port = 0 if children.listens(sink.host, sink.port) else sink.port
    return children.visdom(sink.host, port, folder)


def _save(run: Run, sinks: list[Sink]) -> bool:
    """Keep Visdom's windows with the run, as its server forgets them when it ends; tell whether there are any."""
    kept = False
    for sink in sinks:
        if sink.name == "visdom":
            try:
                cast("VisdomSink", sink).save(run.path / "visdom")
                kept = True
            except OSError as error:
                log.warning("visdom: the windows are not saved with the run: %s", error)
    return kept


def _wait_for_ctrl_c() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _say("")


@contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that is closed, unwind the program, so that all is delivered."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
