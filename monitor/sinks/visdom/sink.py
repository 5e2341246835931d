"""The Visdom sink sends the state of windows, not a sequence of operations.

It knows the whole, bounded state of every window, and replaces the windows that changed. So a server that crashes or is
restarted gets everything back, an update does not cost more the longer the run is, and no point is ever there twice.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import orjson

from monitor.errors import BadRecord, SpecError
from monitor.machine.files import atomic_write
from monitor.machine.network import is_visdom, visdom_port
from monitor.records import RECORD_TYPES, Checkpoint, Config, Record, Summary
from monitor.render.charts.x_axes import fill_choices
from monitor.sinks.base import DashboardSink
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.client import RequestRefused, VisdomClient
from monitor.sinks.visdom.page_state import PageState
from monitor.sinks.visdom.steering import SteeringWindow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from urllib.parse import SplitResult

    from monitor.runs.run import Run
    from monitor.scalar_block import ScalarBlock
    from monitor.steering.controls import Controls

log = logging.getLogger("monitor")

DEFAULT_HOST = "127.0.0.1"
PAGE_SCRIPT = "js/monitor/toolbar.js"  # which draws the buttons of charts on the page of `monitor serve visdom`
PING_INTERVAL_S = 2.0  # between two pings of the server while nothing changes


class VisdomSink(DashboardSink):
    """Show the run in one env of a Visdom server: `visdom`, or `visdom://host:port/env`.

    Curves of one metric share a chart, such as `train/loss` and `test/loss`, unless `charts` says otherwise. The env
    has the name of the run, unless the spec names another. Closing the sink does not close windows.
    """

    name = "visdom"
    title = "Visdom"
    accepts = RECORD_TYPES - {Checkpoint, Summary}
    max_interval = 3.0

    def __init__(
        self, host: str = DEFAULT_HOST, port: int | None = None, env: str | None = None, username: str | None = None
    ) -> None:
        """Prepare a client; nothing is sent yet. The password comes from the environment, see `VisdomClient`.

        Without a `port` it is `MONITOR_VISDOM_PORT`, or 8097.
        """
        self._host = host
        self.has_address = port is not None or host != DEFAULT_HOST
        self._env = windows.clean_env_name(env) if env else None
        self._username = username
        self._is_from_user = True
        self._client = VisdomClient(f"http://{host}:{port or visdom_port()}", username)
        self._run_name = ""
        self._controls: Controls | None = None
        self._steering: SteeringWindow | None = None
        self._state = PageState()
        self._sent: set[str] = set()  # keys of the windows that this server has, in whatever state
        self._bad: dict[str, str] = {}  # what could not be shown since the last flush that succeeded, and why
        self._connections = 0
        self._has_scripts = False  # whether the page of this server runs our scripts
        self._last_answer = 0.0  # when the server last answered, on the monotonic clock

    @classmethod
    def from_spec(cls, spec: SplitResult) -> VisdomSink:
        """Make the sink for `visdom` or `visdom://user@host:port/env`, where each part may be left out."""
        if not spec.scheme:
            return cls()
        accepted = "visdom or visdom://host:port/env, port 1 to 65535"
        if spec.password is not None:
            raise SpecError(f"a sink must not contain a password; set VISDOM_PASSWORD_FILE. Accepted: {accepted}")
        if spec.port == 0 or spec.query or spec.fragment:
            raise SpecError(f"sink {spec.geturl()!r}: accepted: {accepted}")
        host = spec.hostname or DEFAULT_HOST
        host = f"[{host}]" if ":" in host else host
        sink = cls(host, spec.port, unquote(spec.path.strip("/")) or None, spec.username)
        sink.has_address = spec.netloc != ""
        return sink

    def connect_to(self, url: str) -> None:
        """Use the server at `url` instead; before `open` only."""
        self._client = VisdomClient(url, self._username, from_user=self._is_from_user)

    def withhold_login(self) -> None:
        """Send no login from the environment, unless the server is on this machine or MONITOR_VISDOM_LOGIN_HOST."""
        self._is_from_user = False
        self.connect_to(self.url)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._client.url

    def steer(self, controls: Controls) -> bool:
        """Let a window change `controls`; its thread starts in `open`."""
        self._controls = controls
        return True

    def page_url(self, run: Run) -> str:
        """Return the address of the env that shows `run`: the env of the spec, or the name of its page."""
        return self._client.page_url(self._env or windows.clean_env_name(self.page_name(run)))

    def open_page(self, run: Run) -> str:
        """Make the env that shows `run`, with the settings, and return its address. Raises `OSError`."""
        self.open(run)
        assert self._env is not None
        self._client.make_env(self._env)
        self.write([Config(run.config, run.started)])
        with suppress(BadRecord):  # it comes again as a record
            self.flush()
        return self.page_url(run)

    def spec_of_page(self, name: str) -> str:
        """Return the spec of a sink with the env `name` on the same server."""
        return f"visdom://{self.url.partition('://')[2]}/{quote(name)}"

    def is_served(self) -> bool:
        """Tell whether a Visdom server answers at `url`. Blocks for at most 2 s."""
        return is_visdom(self.url)

    def server_command(self, port: int, folder: Path, logdir: Path | None = None) -> list[str]:
        """Return the command line of a server that stores its envs in `folder`, and shows the runs in `logdir`."""
        command = [sys.executable, "-m", "monitor", "serve", "visdom", "--host", self._host.strip("[]")]
        command += [] if logdir is None else ["--logdir", str(logdir)]
        return [*command, "--port", str(port), "--env-dir", str(folder), "--parent", str(os.getpid())]

    def view_command(self, folder: Path) -> str:
        """Return the command that serves the envs in `folder`."""
        return f"monitor serve visdom --env-dir {shlex.quote(str(folder))}"

    def save(self, folder: Path) -> None:
        """Write the env into `folder`, for `monitor serve visdom --env-dir`; after `close` only.

        It is written from the state of this sink, so the server need not run anymore. Raises `OSError` if the folder
        cannot be written.
        """
        saved = {}
        for number, key in enumerate(self._state.keys()):
            try:
                message = self._message(key)
                saved[message["win"]] = orjson.Fragment(windows.encode(windows.saved_window(message, number)))
            except Exception as error:
                log.warning("visdom: the window %r is not saved: %s: %s", key, type(error).__name__, error)
        folder.mkdir(parents=True, exist_ok=True)
        content = orjson.dumps({"jsons": saved, "reload": {}})
        atomic_write(folder / f"{self._env}.json", content)

    def open(self, run: Run) -> None:
        """Take the name of the env from the run, unless the spec names one. Sends nothing."""
        self._run_name = run.name
        self._state.arrange(self.charts)
        self._env = self._env or windows.clean_env_name(self.page_name(run))
        if self._controls is not None and self._steering is None:
            client = VisdomClient(self.url, self._username, from_user=self._is_from_user)
            self._steering = SteeringWindow(self._controls, client, self._env, self._run_name)
            self._steering.start()

    def recall(self, records: Sequence[Record]) -> None:
        """Take in curves, texts, settings, and the steps of the windows with a slider. Blocks while it encodes them."""
        self._state.recall(records)

    def write(self, records: Sequence[Record]) -> None:
        """Take in the records. Nothing is drawn or sent yet."""
        self._state.add(records)

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take in the scalars. Nothing is drawn or sent yet."""
        self._state.add_scalars(block)

    def flush(self) -> None:
        """Draw and send the windows that changed, or all of them if the server may be a new one.

        A window that cannot be drawn, or that the server refuses, costs no other one: it is left out, and reported by a
        `BadRecord` at the end.
        """
        assert self._env is not None
        changed = self._state.changed
        if not changed and time.monotonic() - self._last_answer < PING_INTERVAL_S:
            return
        self._client.ping(self._env)
        if self._client.connections != self._connections:  # the server may have been restarted in between
            self._has_scripts = self._client.serves(PAGE_SCRIPT)
            self._client.ping(self._env)  # a server may have closed the connection after that
            self._connections = self._client.connections
            self._sent.clear()
            self._state.mark_all_changed()
        for key in sorted(self._state.gone):
            self._client.close_window(self._window(key), self._env)
            self._sent.discard(key)
            self._state.gone.discard(key)
        for key in self._state.changed_keys():
            self._show(key)
        self._last_answer = time.monotonic()
        if self._bad:
            bad, self._bad = self._bad, {}
            reasons = "; ".join(f"{what} cannot be shown: {reason}" for what, reason in bad.items())
            raise BadRecord(reasons, len(bad))

    def close(self) -> None:
        """Close the connection, and end the steering."""
        if self._steering is not None:
            self._steering.stop()
        self._client.close()

    def forget(self, trace: str, step: int) -> None:
        """Remove the points at `step` and above from all traces of this name."""
        self._state.forget(trace, step)

    def _show(self, key: str) -> None:
        """Draw and send a window, without what cannot be shown. Raises `OSError`."""
        assert self._env is not None
        if any(self._client.has_window(self._window(other), self._env) for other in self._state.other_keys(key)):
            self._state.changed.discard(key)  # the server has it since before the run was resumed
        while key in self._state.changed:  # again after each text that is left out
            try:
                message = self._message(key)
                if "layout" in message and not self._has_scripts:
                    fill_choices(message)
                if key in self._sent:  # the page resizes a window if a message contains a size
                    del message["opts"]["width"], message["opts"]["height"]
                payload = windows.encode(message)
            except Exception as error:  # also an OSError: drawing uses neither network nor disk
                self._leave_out(key, error)
                continue
            try:
                self._client.send(payload, self._env)
            except RequestRefused as error:
                self._leave_out(key, error)
                continue
            self._sent.add(key)
            self._state.changed.discard(key)

    def _leave_out(self, key: str, error: Exception) -> None:
        kind = "" if isinstance(error, RequestRefused) else f"{type(error).__name__}: "
        self._bad[self._state.drop(key)] = " ".join(f"{kind}{error}".split())

    def _message(self, key: str) -> windows.Message:
        """Draw a window and return the message that shows it in the env."""
        return {**self._state.message(key), "eid": self._env, "win": self._window(key)}

    def _window(self, key: str) -> str:
        """Return the id of a window."""
        return f"{self._run_name} {key}"
