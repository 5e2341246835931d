"""The envs of all runs of a log directory, on one Visdom server: read, or made from event files, when looked at."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from visdom.utils.server_utils import LazyEnvData

from monitor.dashboards.visdom.env_store import Env, EnvStore, empty_env, read_env
from monitor.dashboards.visdom.rebuilding import Rebuilding
from monitor.dashboards.visdom.run_places import find_places
from monitor.runs.listing.found_runs import FoundRuns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.dashboards.visdom.run_places import RunPlace

log = logging.getLogger("monitor")

SCAN_INTERVAL_S, SCAN_SHARE = 3.0, 0.02  # between two looks for runs, which take at most this share of the time
FOLLOW_INTERVAL_S = 1.0
PATIENCE_S = 5.0  # for the sink of a run that has just begun, or whose server has
MAX_FOLLOWED = 20  # runs that go on and that pages show, without a sink that sends them
NOTICE = "monitor notice"  # the id of the window that says what is going on


class Server(Protocol):
    """What the envs need of the server. All but `are_watched` must be called on its own thread."""

    state: dict[str, Any]
    readonly: bool

    def are_watched(self) -> set[str]:
        """Return the names of the envs that pages show."""

    def tell_envs(self) -> None:
        """Tell all pages which envs there are."""

    def show_window(self, env: str, window: dict[str, Any]) -> None:
        """Show a window on the pages that are open."""

    def close_window(self, env: str, window: str) -> None:
        """Remove a window, on all pages too."""


class RunEnv(LazyEnvData):  # type: ignore[misc]
    """The env of a run, whose windows are read when somebody asks for them.

    Attributes:
        place: the run.
        is_live: whether a sink sends its windows.
    """

    def __init__(self, place: RunPlace, arrangement: dict[str, Any]) -> None:
        super().__init__(None)
        self._raw_dict: Env | None = None
        self.place, self.is_live, self.is_rebuilt = place, False, False
        self._arrangement = arrangement

    def lazy_load_data(self) -> None:
        """Read the saved windows."""
        if self._raw_dict is not None:
            return
        self._raw_dict = empty_env()
        if self.place.saved is not None:
            try:
                self._raw_dict = read_env(self.place.saved)
            except (OSError, ValueError) as error:
                log.warning("Visdom: %s cannot be read: %s", self.place.saved, error)
        self._raw_dict["reload"] |= self._arrangement

    @property
    def has_windows(self) -> bool:
        """Whether there is something to see."""
        return bool(self["jsons"].keys() - {NOTICE})


class RunEnvs:
    """Keep the envs of a server in step with the runs under a log directory, on a thread of its own."""

    def __init__(self, logdir: Path, store: EnvStore) -> None:
        """Look for the runs. Blocks for some milliseconds per hundred of them; reads no event file."""
        self._logdir, self._store = logdir, store
        self._runs = FoundRuns(logdir, with_foreign=False)
        self._places = find_places(logdir, self._runs)
        self._first_seen = dict.fromkeys(self._places, 0.0)
        self._wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._made: dict[str, Rebuilding] = {}  # by env; those of runs that go on

    def newest(self) -> str | None:
        """Return the name of the env of the run that started last."""
        return next(iter(self._places), None)

    def envs(self) -> dict[str, RunEnv]:
        """Return the envs at the start of the server."""
        return {name: self._env(name, place) for name, place in self._places.items()}

    def start(self, server: Server, url: str, call_soon: Callable[..., object]) -> None:
        """Begin to follow the runs, with `server` at `url`; `call_soon` runs something on its thread."""
        self._server, self._url, self._call_soon = server, url, call_soon
        self._started = time.monotonic()
        threading.Thread(target=self._main, name="monitor-runs", daemon=True).start()

    def opened(self, name: str) -> None:
        """Take notice that a page shows an env. On the server's thread."""
        env = self._server.state.get(name)
        if isinstance(env, RunEnv) and not env.is_live and not env.is_rebuilt and not env.has_windows:
            if not self._server.readonly:  # pages of such a server close no window
                env["jsons"][NOTICE] = _notice("The windows are being made from the run's event files …")
            self._wanted.put(name)

    def note_window(self, name: str) -> None:
        """Take notice of a window that somebody sends. On the server's thread."""
        env = self._server.state.get(name)
        if isinstance(env, RunEnv) and name not in self._made:
            env.is_live = True
            if NOTICE in env["jsons"]:
                self._server.close_window(name, NOTICE)

    # On the thread

    def _main(self) -> None:
        next_scan = 0.0
        while True:
            try:
                with suppress(queue.Empty):
                    self._rebuild(self._wanted.get(timeout=FOLLOW_INTERVAL_S))
                self._follow()
            except Exception as error:  # a run may vanish at any moment; the others are shown
                log.warning("Visdom: a run cannot be shown: %s: %s", type(error).__name__, error)
            now = time.monotonic()
            if now >= next_scan:
                self._scan()
                ended = time.monotonic()
                next_scan = ended + max(SCAN_INTERVAL_S, (ended - now) / SCAN_SHARE)

    def _scan(self) -> None:
        try:
            places = find_places(self._logdir, self._runs)
        except Exception as error:
            log.warning("Visdom: %s cannot be read: %s: %s", self._logdir, type(error).__name__, error)
            return
        now = time.monotonic()
        self._first_seen = {name: self._first_seen.get(name, now) for name in places}
        self._call_soon(self._take, places, now)

    def _rebuild(self, name: str) -> None:
        """Make the windows of an env, unless somebody else sends them meanwhile."""
        env, place = self._server.state.get(name), self._places.get(name)
        if place is None or not isinstance(env, RunEnv) or env.is_live or name in self._made:
            return
        if place.is_running and time.monotonic() - self._started < PATIENCE_S:
            self._wanted.put(name)
            time.sleep(FOLLOW_INTERVAL_S)
            return
        made = self._made[name] = Rebuilding(name, place.path, self._url)
        made.update()
        env.is_rebuilt = True
        self._call_soon(self._end_notice, name, made.problem)
        if not place.is_running or len(self._made) > MAX_FOLLOWED:
            self._forget(name, made)

    def _follow(self) -> None:
        """Send what is new in the runs that pages show."""
        watched = self._server.are_watched() if self._made else set()
        for name, made in list(self._made.items()):
            place = self._places.get(name)
            has_ended = place is None or not place.is_running
            if made.is_closed:
                continue
            if name in watched or has_ended:
                made.update()
            if has_ended:
                self._forget(name, made)

    def _forget(self, name: str, made: Rebuilding) -> None:
        made.close()
        self._call_soon(self._made.pop, name, None)  # after the last of its windows has come

    # On the server's thread

    def _take(self, places: dict[str, RunPlace], now: float) -> None:
        """Put new runs among the envs, and take out those that are gone."""
        state, before = self._server.state, set(self._server.state)
        for name, env in list(state.items()):
            if isinstance(env, RunEnv) and name not in places and not env.is_live:
                del state[name]
        for name, place in places.items():
            env = state.get(name)
            is_stale = isinstance(env, RunEnv) and not env.is_live and env.place != place and name not in self._made
            if is_stale or (env is None and self._is_due(name, places, now)):
                state[name] = self._env(name, place)
        self._places = places
        if set(state) != before:
            self._server.tell_envs()

    def _is_due(self, name: str, places: dict[str, RunPlace], now: float) -> bool:
        """Tell whether a run gets an env from here: not one that has just begun, and whose own sink may make it.

        Nor one that is in an env which the user has named. Envs of other runs, which may have its name, do not count.
        """
        place = places[name]
        if not place.is_running:
            return True
        if now - self._first_seen.get(name, now) < PATIENCE_S:
            return False
        start = f"{place.path.name} "  # of the ids that the sink gives its windows
        return not any(window.startswith(start) for other, env in self._server.state.items()
                       if isinstance(env, dict) and other not in places for window in env["jsons"])  # fmt: skip

    def _env(self, name: str, place: RunPlace) -> RunEnv:
        return RunEnv(place, self._store.arrangement(name))

    def _end_notice(self, name: str, problem: str) -> None:
        env = self._server.state.get(name)
        if not isinstance(env, RunEnv):
            return
        if env.has_windows:
            self._server.close_window(name, NOTICE)
        else:
            env["jsons"][NOTICE] = _notice(problem or "The run has no event files with something to show.")
            self._server.show_window(name, env["jsons"][NOTICE])


def _notice(text: str) -> dict[str, Any]:
    from monitor.sinks.visdom.windows import saved_window, text_window

    return saved_window({**text_window("run", text), "win": NOTICE}, 0)
