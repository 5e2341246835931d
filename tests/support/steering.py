"""What a page does to steer a training, over a socket of its own and without a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests
import websocket

from monitor.testing import wait_until

if TYPE_CHECKING:
    from types import TracebackType

PLAIN_SERVER = """
import sys
from visdom.server.run_server import start_server
start_server(port=int(sys.argv[1]), base_url="", env_path=sys.argv[2], bind_local=True)
"""


class SteeringPage:
    """A page that shows an env of a Visdom server."""

    def __init__(self, url: str, env: str, cookie: str | None = None) -> None:
        """Connect as Visdom's page does, with the cookie of a login."""
        self._url, self._env, self._cookie = url, env, cookie
        address = f"ws{url.removeprefix('http')}/socket"
        self._socket = websocket.create_connection(address, timeout=60, origin=url, cookie=cookie)

    def rows(self) -> dict[str, tuple[int, str]]:
        """Return the controls of the window: the place of each, and the text beside it."""
        content = self.window().get("content", [])
        if isinstance(content, str):
            return {}
        return {row["control"]: (number, row["name"]) for number, row in enumerate(content)}

    def window(self) -> dict[str, Any]:
        """Return the window, empty where there is none."""
        headers = {"Cookie": self._cookie} if self._cookie else {}
        body = {"win": None, "eid": self._env}
        answer = requests.post(f"{self._url}/win_data", json=body, headers=headers, timeout=60)
        windows = answer.json().values() if answer.ok else ()
        return next((window for window in windows if window["title"] == "controls"), {})

    def event(self, control: str, value: str = "clicked") -> dict[str, Any]:
        """Return what the page sends for a control, once the window has it."""
        wait_until(lambda: control in self.rows(), 60, f"the control {control}")
        event = {"event_type": "PropertyUpdate", "propertyId": self.rows()[control][0], "value": value}
        return {"cmd": "forward_to_vis", "data": {"target": self.window()["id"], "eid": self._env, **event}}

    def change(self, control: str, value: str = "clicked") -> None:
        """Type a value, or click a button."""
        self.send(self.event(control, value))

    def change_pause_test_and_stop(self, lr: str) -> None:
        """Change the learning rate, pause, ask for a test, go on, and stop; wait each time until it is done."""
        self.change("lr", lr)
        self.wait("lr", f"lr = {lr} (was 0.01")
        self.change("pause")
        self.wait("resume", "paused")
        self.change("test")
        self.wait("test", "done at step")
        self.change("resume")
        self.wait("pause", "running")
        self.change("stop")

    def send(self, message: dict[str, Any]) -> None:
        """Send what a page would send, or something else."""
        self._socket.send(json.dumps(message))

    def wait(self, control: str, text: str) -> None:
        """Wait until the text beside a control contains this one."""
        wait_until(lambda: text in self.rows().get(control, (0, ""))[1], 60, f"{text!r} beside {control}")

    def __enter__(self) -> SteeringPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
