"""Commands that report each error in one line, which says what is accepted."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from monitor.errors import MonitorError
from monitor.render.text.escaping import escape_control_chars
from monitor.suggestions import hint

if TYPE_CHECKING:
    from rich.text import Text

RUNNER_MODULES = ("torch", "torchvision", "sklearn")  # installed by the extra `runners`


class MonitorCommand(click.Command):
    """A command that reports an error in one line on stderr, without a traceback; bad input has exit status 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the command; `-h` shows its help too."""
        super().__init__(*args, **kwargs)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        """Run the command and exit with what it returns, if that is an int."""
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
    """A group of commands that reports errors in the same way."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments start with; for an unknown one, say which was meant."""
        if not ctx.resilient_parsing and args[0].isalnum() and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}{hint(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def as_text(value: object, style: str = "") -> Text:
    """Return a value for a table, shown as it is: no markup, and control characters spelled out."""
    from rich.text import Text

    return Text(escape_control_chars(str(value)), style)


def fail(message: str, status: int) -> NoReturn:
    """Print a message in one line on stderr, and exit with `status`."""
    click.echo("Error: " + escape_control_chars(" ".join(message.split())), err=True)
    sys.exit(status)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Write to the current `sys.stderr`, which a progress bar replaces while it is shown."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


class _OneLine(logging.Formatter):
    """Show a message as it is: control characters, which a tag or an error may hold, are spelled out."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_control_chars(super().format(record))


def show_messages() -> None:
    """Show the log messages of this package on stderr, one line each."""
    log = logging.getLogger("monitor")
    if not log.handlers:
        handler = _Stderr()
        handler.setFormatter(_OneLine("%(levelname)s: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
