"""All runs under a folder, on their way to sinks: found, named, sent, followed, and ended."""

from __future__ import annotations

import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from monitor.dashboards.session import echo, save_pages
from monitor.delivery.replay import Replay
from monitor.imports.sources import Source, find_logs, open_source
from monitor.runs.run import Run
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink, Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_INTERVAL_S = 0.5  # between two looks at the logs
SEARCH_SHARE = 0.05  # of the time, at most, goes into the search for new runs, which takes long in a large folder
QUIET_S = 5.0  # without any record, before `follow` says what it waits for
MAX_PAGES_TOLD = 20
EMPTY_LOGS = (
    "The logs found are still empty. Some writers keep records back: tensorboardX's SummaryWriter for up to 120 "
    "seconds, or as long as its flush_secs says."
)


class Replays:
    """Send all runs under a folder, each to sinks of its own.

    Attributes:
        templates: by spec, the sinks that each run gets copies of.
        opens_browser: whether to open the page of the first run that appears.
        saved: the names of the sinks that have saved a page.
        has_unreadable: whether there was a log of which nothing could be read.
    """

    def __init__(self, path: Path, templates: Mapping[str, Sink], logdir: Path | None, folder: Path) -> None:
        """Prepare to send the runs under `path`; nothing is read yet.

        Args:
            path: a log, or a folder with any number of them.
            templates: by spec, the sinks that each run gets copies of.
            logdir: where new event files go; None if no sink writes any.
            folder: where the pages of dashboards are saved.
        """
        self.templates, self.opens_browser, self.has_unreadable = templates, False, False
        self.saved: set[str] = set()
        self._path, self._logdir, self._folder = path, logdir, folder
        self._unnamed: dict[Path, Source] = {}  # runs whose logs do not say their names yet
        self._replays: dict[Path, Replay] = {}
        self._ended: set[Path] = set()
        self._names: set[str] = set()
        self._undelivered: list[str] = []
        self._pages_told = 0
        self._is_waiting = self._is_sending = False  # whether the user was told, or need not be
        self._quiet_since = 0.0

    def first_run(self) -> Run | None:
        """Return the run whose page is the first to look at; None if there is none yet."""
        for path, place in find_logs(self._path).items():
            return Run(_flat_name(open_source(path, place).name() or place), is_written=False)
        return None

    def send(self) -> list[str]:
        """Send all runs; return what was not delivered."""
        for path, place in find_logs(self._path).items():
            source = open_source(path, place)
            replay = self._begin(source, source.name() or place)
            replay.forward()
            self._end(replay)
        return self._undelivered

    def follow(self) -> list[str]:
        """Send all runs, what is added to them, and new runs, until Ctrl-C; return what was not delivered."""
        next_search = 0.0
        try:
            while True:
                now = time.monotonic()
                if now >= next_search:
                    self._look_for_runs()
                    ended = time.monotonic()
                    next_search = ended + (ended - now) / SEARCH_SHARE
                for path, replay in list(self._replays.items()):
                    replay.forward()
                    if replay.source.has_ended:
                        del self._replays[path]
                        self._ended.add(path)
                        self._end(replay)
                self._say_what_is_missing()
                time.sleep(POLL_INTERVAL_S)
        except (KeyboardInterrupt, SystemExit):
            for replay in self._replays.values():
                self._end(replay)
            return self._undelivered

    def _say_what_is_missing(self) -> None:
        """Say once that there is no log yet, and once that there is nothing in those that are there."""
        if not self._replays and not self._ended:
            if not self._is_waiting:
                self._is_waiting = True
                echo(f"Waiting for logs in {self._path}; Ctrl-C ends")
        elif not self._is_sending:
            self._quiet_since = self._quiet_since or time.monotonic()
            self._is_sending = bool(self._ended) or any(replay.counts for replay in self._replays.values())
            if not self._is_sending and time.monotonic() - self._quiet_since > QUIET_S:
                self._is_sending = True
                echo(EMPTY_LOGS)

    def _look_for_runs(self) -> None:
        """Begin to send runs that are new."""
        for path, place in find_logs(self._path).items():
            if path in self._replays or path in self._ended:
                continue
            source = self._unnamed.setdefault(path, open_source(path, place))
            if name := source.name():
                del self._unnamed[path]
                self._replays[path] = self._begin(source, name)
                self._tell_pages(self._replays[path])

    def _begin(self, source: Source, wanted: str) -> Replay:
        """Open sinks for a run, under a name that no other run has here."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}-{number}"
        self._names.add(name)
        sinks = [_copy_of(sink, spec) for spec, sink in self.templates.items()]
        run = Run(self._logdir / name) if self._logdir is not None else Run(_flat_name(name), is_written=False)
        return Replay(name, source, sinks, run)

    def _tell_pages(self, replay: Replay) -> None:
        """Print where a new run is shown."""
        pages = [_page_url(sink, replay.run) for sink in replay.sinks if isinstance(sink, DashboardSink)]
        self._pages_told += 1
        if self._pages_told <= MAX_PAGES_TOLD:
            echo(": ".join([replay.name, " ".join(pages)]) if pages else f"{replay.name}: found")
        elif self._pages_told == MAX_PAGES_TOLD + 1:
            echo("More runs are shown too; their addresses are like these.")
        if pages and self.opens_browser:
            self.opens_browser = False
            webbrowser.open(pages[0])

    def _end(self, replay: Replay) -> None:
        """End a run's replay, and save its pages where a server of ours finds them."""
        self._undelivered += replay.close()
        self.has_unreadable = self.has_unreadable or replay.is_unreadable
        echo(replay.summary())
        self.saved |= {sink.name for sink in save_pages(replay.sinks, self._folder)}


def _page_url(sink: DashboardSink, run: Run) -> str:
    """Return the address of a run's page, which is made if the replay has not done that yet."""
    copy = _copy_of(sink, sink.spec_of_page(unquote(sink.page_url(run).rpartition("/")[2])))
    with suppress(OSError):  # the replay tells it
        return copy.open_page(run) if isinstance(copy, DashboardSink) else sink.page_url(run)
    return sink.page_url(run)


def _flat_name(name: str) -> Path:
    return Path(name.replace("/", "_"))


def _copy_of(sink: Sink, spec: str) -> Sink:
    """Make another sink like `sink`, for another run."""
    made = registry.make(spec)
    if isinstance(sink, DashboardSink) and isinstance(made, DashboardSink):
        made.connect_to(sink.url)
    return made
