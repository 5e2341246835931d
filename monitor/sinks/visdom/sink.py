"""Visdom: the state of every window, not a list of operations.

The sink knows each window whole, bounded, and puts the changed ones up anew. So a server that dies or is restarted gets
everything back, the cost of an update does not grow with the run, and no point is ever there twice.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import orjson

from monitor.errors import SpecError
from monitor.files import atomic_write
from monitor.network import is_visdom
from monitor.records import (
    Config,
    ConfusionMatrix,
    Curve,
    Histogram,
    Images,
    Predictions,
    Record,
    Restart,
    Scalar,
    Text,
)
from monitor.render.downsampling import DownsampledSeries
from monitor.sinks.base import DashboardSink
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.client import VisdomClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from urllib.parse import SplitResult

    from monitor.runs.run import Run

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8097
# The order of the windows on a fresh page; of the curves, those of the training and of the test come first.
WINDOW_ORDER = (
    "curves",
    "images",
    "predictions",
    "labels",
    "plot",
    "confusion",
    "others",
    "text",
    "config",
    "histogram",
)
# The kinds of windows that show a record, which is a window's whole state.
RECORD_WINDOWS: dict[type, tuple[str, ...]] = {
    Images: ("images",),
    Predictions: ("predictions", "labels"),
    ConfusionMatrix: ("confusion",),
    Histogram: ("histogram",),
    Curve: ("plot",),
}
MAX_NOTES = 100  # of one tag; the newest are shown
FIRST_GROUPS = ("train", "test", "val")
MAIN_METRIC = re.compile(
    "loss|acc|error", re.IGNORECASE
)  # curves that are looked at first; the others follow the pictures
PING_INTERVAL_S = 2.0  # seconds between two looks at a server that nothing is sent to


Message = windows.Message


class VisdomSink(DashboardSink):
    """Show the run in one env of a Visdom server: `visdom`, or `visdom://host:port/env`.

    Tags with one prefix share a window with a legend. The env is the run's name, unless it is given. Windows stay when
    the logger is closed.
    """

    name = "visdom"
    title = "Visdom"
    accepts = frozenset({Scalar, Images, Predictions, ConfusionMatrix, Text, Histogram, Curve, Config, Restart})
    max_interval = 3.0

    def __init__(
        self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, env: str | None = None, username: str | None = None
    ) -> None:
        self._host = host
        self._env = windows.clean_env_name(env) if env else None
        self._username = username
        self._client = VisdomClient(f"http://{host}:{port}", username)
        self._run = ""
        self._curves: dict[str, dict[str, DownsampledSeries]] = {}  # by window, by trace
        self._lines: dict[str, tuple[str, DownsampledSeries]] = {}  # by tag: the key of its window, and its points
        self._notes: dict[str, deque[Text]] = {}
        self._state: dict[str, Record] = {}  # what the other windows show, by key; drawn when it is sent
        self._seen: dict[str, int] = {}  # keys of all windows, numbered as they came
        self._changed: set[str] = set()  # keys of the windows that the server has not got as they are now
        self._shown: set[str] = set()  # keys of the windows that this server has got before
        self._life = 0
        self._asked = 0.0  # when the server last answered

    @classmethod
    def from_spec(cls, spec: SplitResult) -> VisdomSink:
        if not spec.scheme:
            return cls()
        accepted = "visdom or visdom://host:port/env, port 1 to 65535"
        if spec.password is not None:
            raise SpecError(f"a password is no part of a sink; set VISDOM_PASSWORD_FILE. Accepted: {accepted}")
        if spec.port == 0 or spec.query or spec.fragment:
            raise SpecError(f"sink {spec.geturl()!r}: accepted: {accepted}")
        host = spec.hostname or DEFAULT_HOST
        host = f"[{host}]" if ":" in host else host
        sink = cls(host, spec.port or DEFAULT_PORT, unquote(spec.path.strip("/")) or None, spec.username)
        sink.has_address = spec.netloc != ""
        return sink

    def connect_to(self, url: str) -> None:
        """Use the server at `url` instead; before `open` only."""
        self._client = VisdomClient(url, self._username)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._client.url

    def page_url(self, run: Run) -> str:
        """Return the address of the env that shows `run`: the one in the spec, or the run's name."""
        return self._client.page_url(self._env or windows.clean_env_name(run.name))

    def spec_of_page(self, name: str) -> str:
        """Return the spec of a sink with the env `name` on the same server."""
        return f"visdom://{self.url.partition('://')[2]}/{quote(name)}"

    def is_served(self) -> bool:
        """Tell whether a Visdom server answers at `url`. Blocks for at most 2 s."""
        return is_visdom(self.url)

    def server_command(self, port: int, folder: Path) -> list[str]:
        """Return the command line of a server with its envs in `folder`."""
        command = [sys.executable, "-m", "monitor", "serve", "visdom", "--host", self._host.strip("[]")]
        return [*command, "--port", str(port), "--env-dir", str(folder), "--parent", str(os.getpid())]

    def view_command(self, folder: Path) -> str:
        """Return the command that serves the envs in `folder`."""
        return f"monitor serve visdom --env-dir {folder}"

    def save(self, folder: Path) -> None:
        """Write the env into `folder`, for `monitor serve visdom --env-dir`; after `close` only.

        It is written from what the sink knows, whatever became of the server. Raises `OSError` where the folder cannot
        be written.
        """
        saved = {}
        for number, key in enumerate(sorted(self._seen, key=self._rank)):
            message = self._message(key)
            saved[message["win"]] = windows.saved_window(message, number)
        folder.mkdir(parents=True, exist_ok=True)
        content = orjson.dumps({"jsons": saved, "reload": {}}, option=orjson.OPT_SERIALIZE_NUMPY)
        atomic_write(folder / f"{self._env}.json", content)

    def open(self, run: Run) -> None:
        self._run = run.name
        self._env = self._env or windows.clean_env_name(run.name)

    def recall(self, records: Sequence[Record]) -> None:
        """Take curves, notes and settings in; pictures come again with the next test."""
        labels = "/labels"  # as text, of predictions
        kinds = Scalar | Text | Config
        self.write(
            [r for r in records if isinstance(r, kinds) and not (isinstance(r, Text) and r.tag.endswith(labels))]
        )

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Scalar):
                line = self._lines.get(record.tag) or self._new_line(record.tag)
                line[1].add(record.step, record.value)
                self._changed.add(line[0])
            elif isinstance(record, Text):
                notes = self._notes.setdefault(record.tag, deque(maxlen=MAX_NOTES))
                notes.append(record)
                self._mark(f"text {record.tag}")
            elif isinstance(record, Restart):
                self._restart(record.step)
            elif isinstance(record, Config):
                self._state["config config"] = record
                self._mark("config config")
            else:
                for kind in RECORD_WINDOWS[type(record)]:
                    self._state[f"{kind} {record.tag}"] = record  # type: ignore[union-attr]
                    self._mark(f"{kind} {record.tag}")  # type: ignore[union-attr]

    def flush(self) -> None:
        assert self._env is not None
        if not self._changed and time.monotonic() - self._asked < PING_INTERVAL_S:
            return
        self._client.ping(self._env)
        if self._client.connections != self._life:  # perhaps another server: it gets everything
            self._life = self._client.connections
            self._shown.clear()
            self._changed.update(self._seen)
        for key in sorted(self._changed, key=self._rank):
            message = self._message(key)
            if key in self._shown:  # a page takes a size for a wish to be resized
                del message["opts"]["width"], message["opts"]["height"]
            self._client.send(message)
            self._shown.add(key)
            self._changed.discard(key)
        self._asked = time.monotonic()

    def close(self) -> None:
        self._client.close()

    def _new_line(self, tag: str) -> tuple[str, DownsampledSeries]:
        """Make the trace of a tag, in the window of its group; return the window's key and the trace's points."""
        group, _, trace = tag.rpartition("/")
        window = group or tag
        series = self._curves.setdefault(window, {}).setdefault(trace, DownsampledSeries())
        self._mark(f"curves {window}")
        self._lines[tag] = f"curves {window}", series
        return self._lines[tag]

    def forget(self, trace: str, step: int) -> None:
        """Forget the points of `step` and above of all traces of this name."""
        for window, traces in self._curves.items():
            if trace in traces:
                traces[trace].restart(step)
                self._mark(f"curves {window}")

    def _restart(self, step: int) -> None:
        """Forget what a restart supersedes."""
        for window, traces in self._curves.items():
            for series in traces.values():
                series.restart(step)
            self._mark(f"curves {window}")
        for tag, notes in self._notes.items():
            self._notes[tag] = deque([note for note in notes if note.step < step], maxlen=MAX_NOTES)

    def _mark(self, key: str) -> None:
        self._seen.setdefault(key, len(self._seen))
        self._changed.add(key)

    def _rank(self, key: str) -> tuple[int, int, int]:
        kind, _, tag = key.partition(" ")
        group = FIRST_GROUPS.index(tag) if tag in FIRST_GROUPS else len(FIRST_GROUPS)
        if kind == "curves" and tag not in FIRST_GROUPS and not MAIN_METRIC.search(tag):
            kind = "others"
        return WINDOW_ORDER.index(kind), group, self._seen[key]

    def _message(self, key: str) -> Message:
        """Make the whole message of a window."""
        kind, _, tag = key.partition(" ")
        if kind == "curves":
            message = windows.curves(tag, self._curves[tag])
        elif kind == "text":
            message = windows.notes(self._notes[tag])
        else:
            message = windows.WINDOW_BUILDERS[kind](self._state[key])
        opts = dict(message["opts"])
        first, second, third = self._rank(key)
        opts["order"] = first * 10**6 + second * 10**4 + third
        return {**message, "opts": opts, "eid": self._env, "win": f"{self._run} {key}"}
