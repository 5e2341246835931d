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
import requests

CONNECT, READ = 2.0, 5.0  # seconds


class VisdomClient:
    """Talk to the server at `url`, such as `http://127.0.0.1:8097`. Every failure is an `OSError`.

    Without a login given, it is VISDOM_USERNAME with VISDOM_PASSWORD, or with the file VISDOM_PASSWORD_FILE.
    """

    def __init__(self, url: str, username: str | None = None, password: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._login = _login(username, password)
        self._session: requests.Session | None = None
        self._sessions = 0

    @property
    def life(self) -> tuple[int, int]:
        """Tell one connection from the next: after a change the server may be another, that knows nothing.

        An open connection proves that the server is the same; only a new one can hide a restart.
        """
        if self._session is None:
            return self._sessions, 0
        adapter = self._session.get_adapter(self.url)
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        return self._sessions, adapter.poolmanager.connection_from_url(self.url).num_connections

    def ping(self, env: str) -> None:
        """Ask the server for a sign of life."""
        self._post("/win_exists", {"win": "", "eid": env})

    def send(self, window: dict[str, Any]) -> None:
        """Put a window up, in the place of the one with its id."""
        self._post("/events", window)

    def windows(self, env: str) -> dict[str, Any]:
        """Return the windows of an env by their ids."""
        found = self._post("/win_data", {"win": None, "eid": env})
        return dict(orjson.loads(found))

    def page(self, env: str) -> str:
        """Return the address of an env's page."""
        return f"{self.url}/env/{quote(env)}"

    def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _post(self, path: str, message: dict[str, Any]) -> bytes:
        # orjson writes NaN and infinity as null: what leaves is strict JSON.
        body = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
        try:
            if self._session is None:
                self._session = self._connect()
            answer = self._session.post(self.url + path, data=body, timeout=(CONNECT, READ), allow_redirects=False)
            self._check(answer)
        except requests.RequestException as error:  # an OSError; said in the words a user needs
            self.close()
            what = "does not answer" if isinstance(error, requests.Timeout) else "cannot be reached"
            raise ConnectionError(f"the Visdom server at {self.url} {what} ({type(error).__name__})") from error
        except OSError:
            self.close()
            raise
        return answer.content

    def _connect(self) -> requests.Session:
        session = requests.Session()
        self._sessions += 1
        session.trust_env = False  # a proxy for the web is none for a dashboard on this machine
        if self._login is not None:
            username, password = self._login
            hashed = hashlib.sha256(password.encode()).hexdigest()
            body = orjson.dumps({"username": username, "password": hashed})
            answer = session.post(self.url + "/", data=body, timeout=(CONNECT, READ), allow_redirects=False)
            if answer.status_code in (400, 401):
                raise PermissionError(f"the Visdom server at {self.url} refuses the login of {username!r}")
            self._check(answer)
        return session

    def _check(self, answer: requests.Response) -> None:
        if answer.status_code in (400, 401):
            raise PermissionError(
                f"the Visdom server at {self.url} wants a login: set VISDOM_USERNAME and VISDOM_PASSWORD_FILE"
            )
        if answer.status_code != 200:
            raise ConnectionError(f"the server at {self.url} answers {answer.status_code} {answer.reason}")


def _login(username: str | None, password: str | None) -> tuple[str, str] | None:
    """Complete a login from the environment: a password on a command line would be seen by all."""
    username = username or os.environ.get("VISDOM_USERNAME")
    file = os.environ.get("VISDOM_PASSWORD_FILE")
    password = password or os.environ.get("VISDOM_PASSWORD")
    if password is None and file:
        password = Path(file).read_text("utf-8").partition("\n")[0].rstrip("\r")
    return (username, password) if username and password else None
