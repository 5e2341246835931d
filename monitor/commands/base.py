"""Commands whose errors are one line: what was given, and what is accepted."""

from __future__ import annotations

import logging
import sys
from typing import Any, NoReturn

import click

from monitor.errors import MonitorError

RUNNER_MODULES = ("torch", "torchvision", "sklearn")  # what the extra `runners` brings


class MonitorCommand(click.Command):
    """A command whose errors are one line on stderr, with exit status 2 for bad input, and no traceback."""

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **kwargs)  # type: ignore[call-overload]
        show_messages()
        try:
            status = super().main(*args, standalone_mode=False, **kwargs)  # type: ignore[call-overload]
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.ClickException as error:
            fail(error.format_message(), 2)
        except MonitorError as error:
            fail(str(error), 2)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in RUNNER_MODULES:
                raise
            fail(
                f"this needs packages that are not installed ({error.name}); pip install 'training-monitor[runners]'", 2
            )
        except click.Abort:
            fail("interrupted", 130)
        sys.exit(status if isinstance(status, int) else 0)


class MonitorGroup(MonitorCommand, click.Group):
    """A group of such commands."""


def fail(message: str, status: int) -> NoReturn:
    """End the program with one line on stderr."""
    click.echo("Error: " + " ".join(message.split()), err=True)
    sys.exit(status)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Write to what is stderr at the time: a progress bar puts itself in its place for a while."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def show_messages() -> None:
    """Show the package's messages on stderr, one line each."""
    log = logging.getLogger("monitor")
    if not log.handlers:
        handler = _Stderr()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
