"""Ask an address on the network: does anything listen there, and what does it answer?"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from monitor.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

VISDOM_PORT_VARIABLE, TENSORBOARD_PORT_VARIABLE = "MONITOR_VISDOM_PORT", "MONITOR_TENSORBOARD_PORT"
TIMEOUT_S = 2
MAX_ANSWER_BYTES = 10**7
TCP_LISTEN = "0A"  # a state in the kernel's table
MAX_PORTS = 100  # that are tried for a free one
LOGIN_REQUIRED = "login required"  # what `fetch_json` returns for it


def visdom_port() -> int:
    """Return the port where Visdom is looked for by default: `MONITOR_VISDOM_PORT`, or 8097."""
    return _port(VISDOM_PORT_VARIABLE, 8097)


def tensorboard_port() -> int:
    """Return the port where TensorBoard is looked for by default: `MONITOR_TENSORBOARD_PORT`, or 6006."""
    return _port(TENSORBOARD_PORT_VARIABLE, 6006)


def _port(variable: str, default: int) -> int:
    """Return the port that an environment variable names; raise `SpecError` for anything but a port."""
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise SpecError(f"{variable} is {text!r}; accepted: a port, 1 to 65535")
    return int(text)


def is_loopback(host: str) -> bool:
    """Tell whether `host` can be reached from this machine alone."""
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost" or bare.endswith(".localhost")


def is_this_machine(host: str) -> bool:
    """Tell whether `host` is one of the usual names of this machine; the empty host is the default, 127.0.0.1.

    Other loopback addresses do not count: something else may be bound or forwarded there.
    """
    return host.strip("[]").lower() in ("", "localhost", "127.0.0.1", "::1")


def listens(host: str, port: int) -> bool:
    """Tell whether anything accepts connections there. Blocks for at most 2 s."""
    try:
        socket.create_connection((host.strip("[]"), port), timeout=TIMEOUT_S).close()
    except OSError:
        return False
    return True


def listener_user(host: str, port: int) -> int | None:
    """Return the number of the user whose program listens there, on this machine; None if that is not known."""
    table = Path("/proc/net/tcp6" if ":" in host else "/proc/net/tcp")
    try:
        rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
        users = {int(row[7]) for row in rows if row[3] == TCP_LISTEN and int(row[1].rpartition(":")[2], 16) == port}
    except (OSError, ValueError, IndexError):  # not Linux
        return None
    return users.pop() if len(users) == 1 else None


def free_port(host: str, port: int) -> int:
    """Return the first free port at or above `port`; 0 takes any. Raises `OSError` if none of 100 is free."""
    for candidate in range(port, min(port + MAX_PORTS, 65536)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                if candidate in (port + MAX_PORTS - 1, 65535):
                    raise
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port at or above {port}")


def local_opener() -> urllib.request.OpenerDirector:
    """Return an opener that uses no proxy: a proxy for the web does not reach this machine's servers."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch_json(url: str, body: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Return the JSON that `url` answers, `LOGIN_REQUIRED`, or None for anything else. Blocks for at most 2 s."""
    try:
        with local_opener().open(
            urllib.request.Request(url, data=body, headers=dict(headers)), timeout=TIMEOUT_S
        ) as answer:
            return json.loads(answer.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        error.close()
        return LOGIN_REQUIRED if error.code in (400, 401) else None
    except (OSError, ValueError):
        return None


def is_visdom(url: str) -> bool:
    """Tell whether a Visdom server answers at `url`, even if it needs a login. Blocks for at most 2 s."""
    answer = fetch_json(f"{url}/env_state", b"{}")
    return isinstance(answer, list) or answer == LOGIN_REQUIRED


def is_tensorboard(url: str) -> bool:
    """Tell whether TensorBoard answers at `url`. Blocks for at most 2 s."""
    answer = fetch_json(f"{url}/data/environment")
    return isinstance(answer, dict) and "data_location" in answer
