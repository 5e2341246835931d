"""A runner's run, from the log directory to the line that says how to look at it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from monitor import Logger


@contextmanager
def start(runner: str, config: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Logger]:
    """Open the logger of a run, and say at its end where it is. Ctrl-C and SIGTERM end it in good order."""
    name = given["name"] or f"{runner}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        log = Logger(given["logdir"] / name, given["sinks"], config)
    except OSError as error:
        raise click.BadParameter(
            f"{str(given['logdir'])!r} cannot be written: {error.strerror or error}", param_hint="'--logdir'"
        ) from error
    with _sigterm_as_exit():
        try:
            with log:
                yield log
        except KeyboardInterrupt:
            click.echo(f"Interrupted. The run so far is in {log.run.path}", err=True)
            sys.exit(130)
    click.echo(f"Run: {log.run.path}")
    click.echo(f"Look at it with: tensorboard --logdir {given['logdir']}")


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the program, so that what was logged is delivered."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
