"""The window on Visdom's page from which a training is steered, and the thread that listens to it.

The server passes what a page changes in the window on to all clients of its socket. A text field has no value of its
own: the current one is in the name beside it. Visdom's page also sends a field when somebody only clicks into it and
out again, and what it showed may be old by then, as a schedule changes it. An empty field changes nothing.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import websocket

from monitor.machine.network import LOGIN_REQUIRED, fetch_json, is_loopback, listens
from monitor.render.text.escaping import escape_control_chars
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.client import RequestRefused, VisdomClient

if TYPE_CHECKING:
    from monitor.sinks.visdom.windows import Message
    from monitor.steering.controls import Controls

log = logging.getLogger("monitor")

INTERVAL_S = 0.5  # between two looks at the values
RETRY_S = 2.0  # after a failure
CONNECT_TIMEOUT_S = 5.0
JOIN_TIMEOUT_S = 2.0
MAX_VALUE_CHARS = 200  # of what a page sends
SIZE_PX = {"width": 410, "height": 300}
FOREIGN_ORIGIN = "http://another-site.invalid"


class SteeringWindow:
    """Shows the controls of a run in its env, and passes on what a page asks for, on a thread of its own."""

    def __init__(self, controls: Controls, client: VisdomClient, env: str, run_name: str) -> None:
        """Prepare; nothing is sent yet. `client` must not be used by another thread."""
        self._controls, self._client, self._env = controls, client, env
        self._window = f"{run_name} controls"
        self._shown: Message | None = None  # what the server has
        self._over = threading.Event()
        self._warned: set[str] = set()
        self._thread = threading.Thread(target=self._main, name="monitor-visdom-steering", daemon=True)

    def start(self) -> None:
        """Begin to listen. Does not block."""
        self._thread.start()

    def stop(self) -> None:
        """Say in the window that the run has ended, and end the thread. Blocks for at most 2 s."""
        self._over.set()
        self._thread.join(JOIN_TIMEOUT_S)

    # Called by the thread

    def _main(self) -> None:
        delay = 0.0
        while not self._over.wait(delay):
            try:
                problem = access_problem(self._client.url)
                if problem:
                    self._controls.listens = False
                    log.warning("steering is off, and training goes on: %s", problem)
                    return
                self._listen()
            except (OSError, websocket.WebSocketException, RequestRefused) as error:
                log.debug("steering: %s", error)
            self._shown = None  # the server may be a new one
            delay = RETRY_S
        try:
            self._show(ended_window(self._controls.status()))
        except (OSError, RequestRefused) as error:
            log.debug("steering: %s", error)
        self._client.close()

    def _listen(self) -> None:
        """Listen until the end of the run; raise `OSError` or `WebSocketException` if the connection is lost."""
        address = f"ws{self._client.url.removeprefix('http')}/vis_socket"
        connection = websocket.create_connection(
            address,
            timeout=CONNECT_TIMEOUT_S,
            cookie=self._client.login_cookie(self._env),
            suppress_origin=True,
            http_no_proxy=["*"],  # as for the requests
        )
        try:
            if is_open_to_other_sites(self._client.url):
                self._warn_once(
                    "steering: this Visdom server accepts requests of any web site that is open in a browser here; "
                    "`monitor serve visdom` does not"
                )
            connection.settimeout(INTERVAL_S)
            while not self._over.is_set():
                self._show(controls_window(self._controls))
                try:
                    text = connection.recv()
                except websocket.WebSocketTimeoutException:
                    continue
                if not text:
                    raise ConnectionError("the server has closed the socket")
                self._take(text)
        finally:
            connection.close()

    def _take(self, text: str | bytes) -> None:
        """Pass on what a page asks for, if it is for this window."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return
        request = read_event(event, self._window, self._env)
        if request is not None:
            self._controls.request(*request)

    def _show(self, message: Message) -> None:
        """Send the window if it has changed."""
        if message == self._shown or (self._shown is None and not self._controls.has_begun):
            return
        sent = {**message, "win": self._window, "eid": self._env}
        if self._shown is not None:  # the page resizes a window if a message contains a size
            sent["opts"] = {name: value for name, value in message["opts"].items() if name not in SIZE_PX}
        self._client.send(windows.encode(sent), self._env)
        self._shown = message

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            log.warning("%s", message)


def controls_window(controls: Controls) -> Message:
    """Show the controls: a field for each setting, a button for everything else."""
    answers = dict(controls.answers)
    rows = []

    def add(kind: str, control: str, name: str, value: str) -> None:
        answer = answers.get(control)
        if answer is not None and answer.text:
            name = f"{name} ({answer.text})" if name else answer.text
        rows.append({"type": kind, "control": control, "name": escape_control_chars(name), "value": value})

    for control, value in controls.values().items():
        # A field keeps what was typed until its value changes: between one and two spaces.
        number = answers[control].number if control in answers else 0
        add("text", control, f"{control} = {value}", " " * (1 + number % 2))
    for control in controls.calls:
        add("button", control, "", f"{escape_control_chars(control)} now")
    change = "resume" if controls.is_paused else "pause"
    add("button", change, controls.status(), change)
    add("button", "stop", "end the run", "stop")
    return {"data": [{"type": "properties", "content": rows}], "opts": {"title": "controls", "order": -1, **SIZE_PX}}


def ended_window(status: str) -> Message:
    """Say that nothing can be changed anymore."""
    text = "The run has ended" + ("" if status == "running" else f", {status}") + "."
    message = windows.text_window("controls", f"{text}\nNothing can be changed anymore.")
    return {**message, "opts": {**message["opts"], "order": -1, **SIZE_PX}}


def read_event(event: Any, window: str, env: str) -> tuple[str, str] | None:
    """Return the control and the value that a page has sent for this window; None for anything else."""
    if not isinstance(event, dict) or "cmd" in event:  # a command is an echo of another client, not of a page
        return None
    if (event.get("event_type"), event.get("target"), event.get("eid")) != ("PropertyUpdate", window, env):
        return None
    number, pane = event.get("propertyId"), event.get("pane_data")
    rows = pane.get("content") if isinstance(pane, dict) else None
    if type(number) is not int or not isinstance(rows, list) or not 0 <= number < len(rows):
        return None
    row = rows[number] if isinstance(rows[number], dict) else {}
    control, value = row.get("control"), event.get("value")
    if not isinstance(control, str) or not control or not isinstance(value, str):
        return None
    value = value.strip()[:MAX_VALUE_CHARS]
    return (control, value) if value else None


def access_problem(url: str) -> str | None:
    """Return why a training must not be steered from this server, None if it may. Blocks; raises `OSError`.

    Whoever reaches the page can steer: a server is either on a loopback address, and on no other address of this
    machine, or behind a login.
    """
    address = urlsplit(url)
    answer = fetch_json(f"{url}/env_state", b"{}")
    if answer == LOGIN_REQUIRED:
        return None
    if answer is None:
        raise ConnectionError(f"the Visdom server at {url} does not answer")
    host, port = address.hostname or "", address.port or 80
    if not is_loopback(host):
        return f"the Visdom server at {url} is on the network and has no login"
    if reached := next((other for other in _other_addresses() if listens(other, port) and _is_same(other, port)), None):
        return f"the Visdom server at {url} can also be reached at {reached} and has no login"
    return None


def is_open_to_other_sites(url: str) -> bool:
    """Tell whether a server answers to pages of another site, as Visdom's own does. Blocks for at most 2 s."""
    return isinstance(fetch_json(f"{url}/env_state", b"{}", {"Origin": FOREIGN_ORIGIN}), list)


def _is_same(host: str, port: int) -> bool:
    """Tell whether a Visdom server without a login answers there."""
    name = f"[{host}]" if ":" in host else host
    return isinstance(fetch_json(f"http://{name}:{port}/env_state", b"{}"), list)


def _other_addresses() -> list[str]:
    """Return the addresses of this machine that others may reach."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = [item.address for items in psutil.net_if_addrs().values() for item in items if item.family in families]
    return [address for address in found if not is_loopback(address) and "%" not in address]  # not link-local ones
