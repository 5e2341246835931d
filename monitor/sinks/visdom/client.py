"""The few calls of a Visdom server that the sink needs, with timeouts, and with exceptions for failures.

Visdom's own client has no timeouts, treats an HTTP 500 as success, and writes `Infinity`, which is not valid JSON.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from datetime import timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import orjson
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from monitor.errors import SlowDown
from monitor.machine.network import is_this_machine

LOGIN_HOST_VARIABLE = "MONITOR_VISDOM_LOGIN_HOST"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 2.0, 5.0
RETRY_DELAY_S = 5.0  # after HTTP 429 or 503 without a valid `Retry-After`
RETRIED_STATUS = (408, 429)  # of those from 400 to 499; 400 and 401 ask for a login


class RequestRefused(Exception):
    """The server will never take this request; other requests may succeed."""


class VisdomClient:
    """A connection to one Visdom server. Each call blocks for at most 7 s, and raises `OSError` if it fails.

    Attributes:
        url: the address of the server.
        connections: the number of connections made so far. After a new connection, the server may be a new process
            that has no windows.
    """

    def __init__(
        self, url: str, username: str | None = None, password: str | None = None, *, from_user: bool = True
    ) -> None:
        """Prepare to connect; nothing is sent yet.

        Args:
            url: the address of the server, such as `http://127.0.0.1:8097`.
            username: by default, the environment variable VISDOM_USERNAME; without either, no login is sent.
            password: by default, VISDOM_PASSWORD, or the first line of the file VISDOM_PASSWORD_FILE.
            from_user: whether the user named the server. If not, a login from the environment is sent to this machine
                and to the host MONITOR_VISDOM_LOGIN_HOST only.
        """
        self.url = url.rstrip("/")
        self.connections = 0
        self._user = username, password
        self._gets_login = from_user or _is_login_host(urlsplit(self.url).hostname or "")
        self._cookie: str | None = None
        self._pool = self._new_pool()

    def ping(self, env: str) -> None:
        """Check that the server answers."""
        self._check_status(self._post("/win_exists", orjson.dumps({"win": "", "eid": env})))

    def has_window(self, window: str, env: str) -> bool:
        """Tell whether the server has a window."""
        response = self._post("/win_exists", orjson.dumps({"win": window, "eid": env}))
        self._check_status(response)
        return response.data == b"true"

    def close_window(self, window: str, env: str) -> None:
        """Remove a window, if it is there, from all pages too."""
        self._check_status(self._post("/close", orjson.dumps({"win": window, "eid": env})))

    def make_env(self, env: str) -> None:
        """Make an env, if it is not there, on all pages too."""
        self._check_status(self._post(f"/env/{quote(env)}", orjson.dumps({"eid": env})))

    def send(self, payload: bytes, env: str) -> None:
        """Show an encoded window of `env`, in place of the one with the same id.

        Raises `RequestRefused` if the server takes others, but not this one.
        """
        try:
            response = self._post("/events", payload)
        except PermissionError:
            self.ping(
                env
            )  # raises it again, unless the server had just forgotten the login, or this window is at fault
            try:
                response = self._post("/events", payload)
            except PermissionError as error:
                raise RequestRefused(f"the server at {self.url} answers 400 or 401") from error
        if 400 <= response.status < 500 and response.status not in RETRIED_STATUS:
            raise RequestRefused(f"the server at {self.url} answers {_status(response)}")
        self._check_status(response)

    def serves(self, path: str) -> bool:
        """Tell whether the server has a static file, such as a script that only `monitor serve visdom` has."""
        return self._request(f"/static/{path}", None, "GET").status == 200

    def login_cookie(self, env: str) -> str | None:
        """Return the cookie that a socket needs; None for a server without a login."""
        self.ping(env)
        return self._cookie

    def page_url(self, env: str) -> str:
        """Return the address of the page of an env."""
        return f"{self.url}/env/{quote(env)}"

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        self._pool.close()
        self._pool = self._new_pool()

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        client = self

        class Connection(urllib3.connection.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                client.connections += 1

        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        pool = urllib3.connection_from_url(self.url, maxsize=1, timeout=timeout, retries=False)
        pool.ConnectionCls = Connection
        return pool

    def _post(self, path: str, payload: bytes) -> urllib3.BaseHTTPResponse:
        user = _read_login(*self._user) if self._gets_login or self._user[1] else None
        if user is not None and self._cookie is None:
            self._cookie = self._log_in(*user)
        response = self._request(path, payload)
        if response.status in (400, 401):
            self._cookie = None  # a server that was restarted does not know it
            raise PermissionError(
                f"the Visdom server at {self.url} needs a login: set VISDOM_USERNAME and VISDOM_PASSWORD_FILE"
                + ("" if self._gets_login else f", and as a file named this server, {LOGIN_HOST_VARIABLE}")
            )
        return response

    def _log_in(self, username: str, password: str) -> str:
        """Log in; return the cookie."""
        payload = {"username": username, "password": hashlib.sha256(password.encode()).hexdigest()}
        response = self._request("/", orjson.dumps(payload))
        if response.status in (400, 401):
            raise PermissionError(f"the Visdom server at {self.url} rejects the login of {username!r}")
        self._check_status(response)
        return response.headers.get("Set-Cookie", "").partition(";")[0]

    def _request(self, path: str, payload: bytes | None, method: str = "POST") -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": "application/json", **({"Cookie": self._cookie} if self._cookie else {})}
        try:
            return self._pool.urlopen(method, path, body=payload, headers=headers, redirect=False)
        except (HTTPError, OSError) as error:
            # In urllib3, a refused connection is a kind of timeout.
            if isinstance(error, Urllib3Timeout) and not isinstance(error, NewConnectionError):
                raise TimeoutError(f"the Visdom server at {self.url} does not answer") from error
            raise ConnectionError(
                f"the Visdom server at {self.url} cannot be reached (`monitor serve visdom` starts one)"
            ) from error

    def _check_status(self, response: urllib3.BaseHTTPResponse) -> None:
        if response.status == 200:
            return
        message = f"the server at {self.url} answers {_status(response)}"
        if response.status in (429, 503):
            raise SlowDown(message, _retry_delay(response.headers.get("Retry-After", "")))
        raise ConnectionError(message)


def _status(response: urllib3.BaseHTTPResponse) -> str:
    return f"{response.status} {response.reason or ''}".rstrip()


def _retry_delay(header: str) -> float:
    """Return the seconds that a `Retry-After` header asks for: a number, or an HTTP date."""
    try:
        if header.strip().isdecimal():
            delay = float(header)
        else:
            moment = parsedate_to_datetime(header)
            delay = moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return RETRY_DELAY_S
    return max(0.0, delay) if math.isfinite(delay) else RETRY_DELAY_S


def _is_login_host(host: str) -> bool:
    """Tell whether a login in the environment is meant for `host`, which a file named."""
    return is_this_machine(host) or host == os.environ.get(LOGIN_HOST_VARIABLE, "").strip("[]").lower()


def _read_login(username: str | None, password: str | None) -> tuple[str, str] | None:
    """Complete a login from the environment, because everybody can see a password on a command line."""
    username = username or os.environ.get("VISDOM_USERNAME")
    file = os.environ.get("VISDOM_PASSWORD_FILE")
    password = password or os.environ.get("VISDOM_PASSWORD")
    if password is None and file:
        password = Path(file).read_text("utf-8").partition("\n")[0].rstrip("\r")
    return (username, password) if username and password else None
