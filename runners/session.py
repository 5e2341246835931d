"""A runner's run, from its dashboards' start to the line that says how to look at it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
            boards = _dashboards(run, sinks, given, cleanup)
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
            run.finish(
                "interrupted" if interrupted else "failed", f"{type(error).__name__} while the dashboards started"
            )
            raise
        try:
            with Logger(run, sinks) as logger:
                yield logger
        except KeyboardInterrupt:
            _say(f"Interrupted. The run so far is in {run.path}", err=True)
            sys.exit(130)
        finally:
            kept = _save(run, sinks)
        _say(f"Run: {run.path}")
        if any(board.process for board in boards) and sys.stdout.isatty():
            _say("Training finished; dashboards stay up until Ctrl-C")
            _wait_for_ctrl_c()
            return
        ways = [f"monitor serve tensorboard --logdir {given['logdir']}"] * any(s.name == "tensorboard" for s in sinks)
        ways += [f"monitor serve visdom --env-dir {run.path / 'visdom'}"] * kept
        for number, way in enumerate(ways):
            _say(("            or: " if number else "Look at it with: ") + way)


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


def _dashboards(run: Run, sinks: list[Sink], given: Mapping[str, Any], cleanup: ExitStack) -> list[Dashboard]:
    """Find or start the servers behind the sinks, and print their addresses; a Visdom sink without one is taken out."""
    starting: list[tuple[Dashboard, VisdomSink | None]] = []
    for sink in sinks:
        if sink.name == "visdom":
            starting.append((_visdom(cast("VisdomSink", sink), run), cast("VisdomSink", sink)))
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
        pages.append(board.url if shown is None else shown.url_of(run))
        _say(f"{board.name}: {pages[-1]}")
    if given["open_browser"] and pages:
        webbrowser.open(pages[0])
    return boards


def _visdom(sink: VisdomSink, run: Run) -> Dashboard:
    """Find the sink's server, or start one where the sink's address is on this machine and nobody listens there."""
    url = f"http://{sink.host}:{sink.port}"
    if sink.given and (children.listens(sink.host, sink.port) or not children.is_local(sink.host)):
        return Dashboard("Visdom", url)  # the user named it; the sink copes with what it does
    if not sink.given and children.answers_as_visdom(url):
        return Dashboard("Visdom", url)
    from monitor.dashboards import assets

    assets.ensure(log.warning, log.info)
    port = 0 if children.listens(sink.host, sink.port) else sink.port
    return children.visdom(sink.host, port, run.path / "visdom")


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
