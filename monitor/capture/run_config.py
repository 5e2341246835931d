"""`log.config`: the settings of a run, which may be added to while it goes on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import time
from typing import TYPE_CHECKING, Any

from monitor.records import Config
from monitor.runs.settings.convert import as_mapping, to_settings, warn_of_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.runs.run import Run

log = logging.getLogger("monitor")


class RunConfig(Mapping[str, Any]):
    """The settings of a run by their full names, such as `model.layers`; read like a dict.

    What is set here goes into `run.json` and to every sink. Any thread may do it, at any time until the logger is
    closed, and it does no I/O. `log.run.config` has the same settings.
    """

    def __init__(self, run: Run, measure: Callable[..., None], *, is_child: bool = False) -> None:
        """Start with the settings of `run`.

        Args:
            run: the run; its `config` is kept current.
            measure: `LogMethods._measure` of the logger.
            is_child: whether another process has the run; it gets what changes, and not the rest, which may be old.
        """
        self._run, self._measure, self._is_child = run, measure, is_child
        self._values: dict[str, Any] = dict(run.config)

    def update(self, config: Any = None, /, **settings: Any) -> None:
        """Add settings, or replace those with the same names. Does not block.

        Args:
            config: as in `Logger`; nested settings are joined by dots, and secrets are masked.
            settings: more of them, by keyword; they replace those in `config`.

        Raises:
            TypeError: if `config` holds no settings, or if a setting cannot be converted to text.
            ValueError: if a setting is nested too deeply or too large, or if two have the same name. Nothing is added
                then.
        """
        self._measure(self._entries, {**as_mapping(config), **settings})

    def __ior__(self, config: Any) -> RunConfig:
        """Do what `update` does: `log.config |= {"lr": 0.1}`."""
        self.update(config)
        return self

    def __setitem__(self, name: str, value: Any) -> None:
        """Add or replace one setting, or several nested ones, as `update` does."""
        self._measure(self._entries, {name: value})

    def receive(self, put: Callable[[Any], None], entry: Any) -> None:
        """Pass an entry of a child process on to `put`; settings are added to those of this process first."""
        if type(entry) is not Config:
            put(entry)
            return
        try:
            for record in self._entries(set(), entry.values):
                put(record)
        except (TypeError, ValueError) as error:
            log.warning("settings of a child process are refused: %s", error)

    def _entries(self, _tags: set[str], changes: Any) -> Iterator[Config]:
        """Add settings, and yield the records that tell the sinks; none if nothing changes. Raises as `update` does."""
        settings = to_settings(changes)
        if all(name in self._values and self._values[name] == value for name, value in settings.items()):
            return
        to_settings({**self._values, **settings})  # all of them must not be too large either
        warn_of_missing(settings)
        self._values.update(settings)  # at once, without a lock
        if self._is_child:
            self._run.config = dict(self._values)
            yield Config(settings, time())
            return
        while True:
            values = dict(self._values)
            self._run.config = values
            yield Config(values, time())
            if values == self._values:  # no other thread came in between, so the last record has everything
                return

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"RunConfig({self._values!r})"
