"""The few calls of a Visdom server that the sink makes, with timeouts, and with errors that are errors.

Visdom's own client waits for ever, takes an HTTP 500 for success, and writes `Infinity`, which is no JSON.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 2.0, 5.0  # seconds


class VisdomClient:
    """Talk to the server at `url`, such as `http://127.0.0.1:8097`.

    Every failure is an `OSError`; a call blocks for 7 s at most.

    Without a login given, it is VISDOM_USERNAME with VISDOM_PASSWORD, or with the file VISDOM_PASSWORD_FILE.
    """

    def __init__(self, url: str, username: str | None = None, password: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._user = username, password
        self._cookie: str | None = None
        self.connections = 0  # connections made; with a new one the server may be another, that knows nothing
        self._pool = self._new_pool()

    def ping(self, env: str) -> None:
        """Ask the server for a sign of life."""
        self._post("/win_exists", {"win": "", "eid": env})

    def send(self, window: dict[str, Any]) -> None:
        """Put a window up, in the place of the one with its id."""
        self._post("/events", window)

    def windows(self, env: str) -> dict[str, Any]:
        """Return the windows of an env by their ids."""
        return dict(orjson.loads(self._post("/win_data", {"win": None, "eid": env})))

    def page_url(self, env: str) -> str:
        """Return the address of an env's page."""
        return f"{self.url}/env/{quote(env)}"

    def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        self._pool.close()
        self._pool = self._new_pool()

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        client = self

        class Connection(urllib3.connection.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                client.connections += (
                    1  # a lasting connection proves that the server is the same, a new one can hide a restart
                )

        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        pool = urllib3.connection_from_url(self.url, maxsize=1, timeout=timeout, retries=False)
        pool.ConnectionCls = Connection
        return pool

    def _post(self, path: str, message: dict[str, Any]) -> bytes:
        user = _login(*self._user)
        if user is not None and self._cookie is None:
            self._cookie = self._log_in(*user)
        # orjson writes NaN and infinity as null: what leaves is strict JSON.
        response = self._request(path, orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY))
        if response.status in (400, 401):
            self._cookie = None  # a restarted server has forgotten it
            raise PermissionError(
                f"the Visdom server at {self.url} wants a login: set VISDOM_USERNAME and VISDOM_PASSWORD_FILE"
            )
        self._check(response)
        return response.data

    def _log_in(self, username: str, password: str) -> str:
        payload = {"username": username, "password": hashlib.sha256(password.encode()).hexdigest()}
        response = self._request("/", orjson.dumps(payload))
        if response.status in (400, 401):
            raise PermissionError(f"the Visdom server at {self.url} refuses the login of {username!r}")
        self._check(response)
        return response.headers.get("Set-Cookie", "").partition(";")[0]

    def _request(self, path: str, payload: bytes) -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": "application/json", **({"Cookie": self._cookie} if self._cookie else {})}
        try:
            return self._pool.urlopen("POST", path, body=payload, headers=headers, redirect=False)
        except (HTTPError, OSError) as error:
            # urllib3 takes a refused connection for a kind of timeout
            if isinstance(error, Urllib3Timeout) and not isinstance(error, NewConnectionError):
                raise TimeoutError(f"the Visdom server at {self.url} does not answer") from error
            raise ConnectionError(
                f"the Visdom server at {self.url} cannot be reached (`monitor serve visdom` starts one)"
            ) from error

    def _check(self, response: urllib3.BaseHTTPResponse) -> None:
        if response.status != 200:
            raise ConnectionError(
                f"the server at {self.url} answers {response.status} {response.reason or ''}".rstrip()
            )


def _login(username: str | None, password: str | None) -> tuple[str, str] | None:
    """Complete a login from the environment: a password on a command line would be seen by all."""
    username = username or os.environ.get("VISDOM_USERNAME")
    file = os.environ.get("VISDOM_PASSWORD_FILE")
    password = password or os.environ.get("VISDOM_PASSWORD")
    if password is None and file:
        password = Path(file).read_text("utf-8").partition("\n")[0].rstrip("\r")
    return (username, password) if username and password else None
