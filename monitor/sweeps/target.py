"""What a sweep runs: an installed runner, or a script under `monitor run`; its command lines, and their check."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.errors import MonitorError, SpaceError
from monitor.runs.scripts.modules import has_module
from monitor.suggestions import hint
from monitor.sweeps.space import Dimension, Parameter, from_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RUNNERS = "monitor.runners"  # the entry-point group
OWN_OPTIONS = ("name", "logdir", "sinks", "resume", "open_browser", "wait", "help")  # the sweep sets them, or has them
TRIAL_FIELD = "{trial}"  # in an argument of a script: the number of the trial


@dataclass(frozen=True)
class Target:
    """A program with options.

    Attributes:
        kind: `runner`, `script`, or `module`.
        name: of the runner, the script's path, or the module.
        arguments: that every trial gets.
    """

    kind: str
    name: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def find(cls, name: str, arguments: Sequence[str], *, is_module: bool = False) -> Target:
        """Return what is meant: a runner, else a script. Raises `SpaceError` if there is neither."""
        given = tuple(arguments)
        if is_module:
            if not has_module(name):
                raise SpaceError(f"there is no module named {name!r}")
            return cls("module", name, given)
        runners = sorted({entry.name for entry in entry_points(group=RUNNERS)})
        if name in runners:
            return cls("runner", name, given)
        path = Path(name)
        if path.is_file() or (path / "__main__.py").is_file():
            return cls("script", name, given)
        raise SpaceError(f"there is no runner and no script {name!r}{hint(name, runners, 'runners')}")

    @cached_property
    def command(self) -> click.Command | None:
        """The command of a runner, imported; None for a script."""
        for entry in entry_points(group=RUNNERS, name=self.name) if self.kind == "runner" else ():
            command: click.Command = entry.load()
            return command
        return None

    @property
    def preloads(self) -> list[str]:
        """Modules to import before processes of trials are forked: those that a runner names in `PRELOAD`, and it."""
        if self.command is None:
            return ["monitor.cli", "monitor.commands.run", "monitor.sinks.tensorboard"]
        module = self._module
        own = getattr(sys.modules.get(module), "PRELOAD", ())
        return ["monitor.cli", "monitor.commands.train", "monitor.sinks.tensorboard", module, *own]

    @property
    def changeable(self) -> tuple[str, ...]:
        """The options that may change in the middle of a run: those in the runner's `CHANGEABLE` that it has."""
        named = getattr(sys.modules.get(self._module), "CHANGEABLE", ()) if self.command is not None else ()
        return tuple(parameter.name for parameter in self._parameters if parameter.name in named)

    @property
    def _module(self) -> str:
        return str(getattr(getattr(self.command, "callback", None), "__module__", ""))

    def user_command(self, settings: Sequence[str]) -> list[str]:
        """Return the command line with which a user runs the program with these settings."""
        if self.kind == "runner":
            return ["monitor", "train", self.name, *self.arguments, *settings]
        return ["monitor", "run", *(["-m"] if self.kind == "module" else []), self.name, *self.arguments, *settings]

    def trial_command(self, trial: int, settings: Sequence[str], options: Mapping[str, Sequence[str]]) -> list[str]:
        """Return the arguments of `monitor` that run a trial; `options` are those of its run, with their values.

        A runner gets the options that it has.
        """
        arguments = [argument.replace(TRIAL_FIELD, str(trial)) for argument in self.arguments]
        known = {option for parameter in self._parameters for option in parameter.opts}
        given = [
            part
            for option, values in options.items()
            if self.kind != "runner" or option in known
            for value in values
            for part in (option, value)
        ]
        if self.kind == "runner":
            return ["train", self.name, *arguments, *settings, *given]
        return ["run", *given, *(["-m"] if self.kind == "module" else []), self.name, *arguments, *settings]

    def checked(self, dimensions: Sequence[Dimension]) -> list[Dimension]:
        """Return the space with the options as the program has them.

        Raises `SpaceError` for one that a runner does not have, and for a value that it refuses.
        """
        if self.command is None:
            return list(dimensions)
        found = [self._known(dimension) for dimension in dimensions]
        first = {dimension.option: _extremes(dimension)[0] for dimension in found}
        for dimension in found:
            for value in _extremes(dimension):
                self._try(dimension, found, {**first, dimension.option: value})
        return found

    @property
    def _parameters(self) -> Iterator[click.Option]:
        parameters: list[Any] = [] if self.command is None else self.command.params
        return (parameter for parameter in parameters if isinstance(parameter, click.Option))

    def _known(self, dimension: Dimension) -> Dimension:
        """Return a dimension with the option of the runner that is meant."""
        wanted = dimension.name.replace("_", "-")
        for parameter in self._parameters:
            option = next((option for option in parameter.opts if option.lstrip("-") == wanted), None)
            if option is None:
                continue
            if parameter.name in OWN_OPTIONS:
                raise SpaceError(f"{option} is no option to sweep over: it is that of the sweep")
            if parameter.is_flag and set(dimension.choices) <= {"true", "false", True, False}:
                choices = tuple(choice in (True, "true") for choice in dimension.choices)
                return replace(dimension, option=option.lstrip("-"), choices=choices)
            if dimension.is_integer and isinstance(parameter.type, click.FloatRange | click.types.FloatParamType):
                dimension = from_value(option.lstrip("-"), {**dimension.as_json(), "min": float(dimension.low)})
            return replace(dimension, option=option.lstrip("-"))
        names = [option.lstrip("-") for parameter in self._parameters for option in parameter.opts]
        raise SpaceError(f"{self.name} has no option {'--' + wanted!r}{hint(wanted, names, 'its options')}")

    def _try(self, tried: Dimension, space: Sequence[Dimension], values: Mapping[str, Parameter]) -> None:
        assert self.command is not None
        arguments = [*self.arguments]
        for dimension in space:
            arguments += dimension.arguments(values[dimension.option])
        try:
            self.command.make_context(self.name, arguments).close()
        except (click.ClickException, MonitorError) as error:
            problem = error.format_message() if isinstance(error, click.ClickException) else str(error)
            raise SpaceError(f"{self.name} does not take {tried.option}={values[tried.option]}: {problem}") from error
        except click.exceptions.Exit:
            raise SpaceError(f"{self.arguments[0]!r} is no option for a trial: it ends {self.name} at once") from None


def changing_runners() -> list[str]:
    """Return the names of the runners some of whose options may change in the middle of a run. Imports all of them."""
    names = sorted({entry.name for entry in entry_points(group=RUNNERS)})
    return [name for name in names if Target("runner", name).changeable]


def _extremes(dimension: Dimension) -> list[Parameter]:
    return list(dimension.choices) or [dimension.low, dimension.high]
