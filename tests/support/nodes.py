"""Machines that are simulated on one: host name, process numbers, and network of their own, and a shared disk.

Linux namespaces make them: a node sees its own processes alone, has its own address behind a switch, and shares the
file system, as the machines of a cluster share a disk. They share the kernel, and so the clock and the boot.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from monitor.testing import wait_until
from tests.support.leftovers import child_processes
from tests.support.requirements import skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
USER = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]  # root in there, with the rights of the user
HOLD = "exec sleep infinity"


def needs_nodes() -> None:
    """Skip a test, in CI fail it, where the machine permits no namespaces."""
    missing = [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]
    if missing:
        skip_or_fail(f"there is no {' and no '.join(missing)}; on Debian: apt install util-linux iproute2")
    if problem := _refusal():
        skip_or_fail(f"nodes need namespaces, which this machine does not permit: {problem}")


@functools.cache
def _refusal() -> str:
    command = ["unshare", *USER, "--net", "ip", "link", "add", "name", "probe", "type", "bridge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


class Node:
    """One machine: `node-1` has the address 10.0.0.1, and so on."""

    def __init__(self, number: int, switch: int, folder: Path) -> None:
        """Start it, without a network. `switch` is the process whose namespaces it is made from."""
        self.name, self.address = f"node-{number}", f"10.0.0.{number}"
        self._switch, self._port = switch, f"port-{number}"
        hosts = folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"10.0.0.{n} node-{n}\n" for n in range(1, 10)))
        setup = f"hostname {self.name} && mount --bind {hosts} /etc/hosts && {HOLD}"
        namespaces = ["--uts", "--pid", "--mount", "--net", "--fork", "--kill-child", "--mount-proc"]
        self._started: list[subprocess.Popen[str]] = []
        self._holder = _start(_inside(switch), "unshare", *namespaces, "sh", "-c", setup)
        self._first = _first_process(self._holder, "sleep")
        _ip(switch, "link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", str(self._first))
        self.heal()
        _ip(switch, "link", "set", self._port, "up")
        for arguments in ("link set lo up", f"addr add {self.address}/24 dev eth0", "link set eth0 up"):
            _ip(self._first, *arguments.split())

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start Python on the node, with these arguments."""
        prefix = [*_inside(self._first), "--uts", "--pid", "--mount"]
        self._started.append(_start(prefix, sys.executable, *arguments, **options))
        return self._started[-1]

    def run(self, *arguments: str) -> str:
        """Run Python on the node to its end, and return what it printed."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        return out

    def cut(self) -> None:
        """Let the switch drop what the node sends and what is sent to it; nobody is told."""
        _ip(self._switch, "link", "set", self._port, "nomaster")

    def heal(self) -> None:
        """Let packets through again."""
        _ip(self._switch, "link", "set", self._port, "master", "bridge")

    def freeze(self) -> None:
        """Stop all that runs on the node, as a machine that swaps or is suspended does; `thaw` lets it go on."""
        self._signal_all("STOP")

    def thaw(self) -> None:
        """Let everything go on."""
        self._signal_all("CONT")
        self._wake()

    def kill(self) -> None:
        """Kill all that runs on the node, at once, and its network first, as a loss of power does. Idempotent."""
        if self._holder.poll() is None:
            self.cut()  # the kernel would close the connections
            os.kill(self._first, signal.SIGKILL)  # the first process of a PID namespace takes all others with it
            self._wake()
            for process in (*self._started, self._holder):
                _finish(process)

    def _wake(self) -> None:
        """Let go on what waits outside for the node's processes: it stops where they do."""
        for process in self._started:
            process.send_signal(signal.SIGCONT)

    def _signal_all(self, name: str) -> None:
        command = [*_inside(self._first), "--pid", "--mount", "sh", "-c", f"kill -{name} -1"]  # not the shell itself
        subprocess.run(command, capture_output=True, check=True, timeout=60)


class Nodes:
    """Nodes at one switch; `close` kills all that runs on them."""

    def __init__(self, count: int, folder: Path) -> None:
        """Start them; `folder` is for the table of their names."""
        self._holder = _start(["unshare", *USER], "--net", "sh", "-c", HOLD)
        self._nodes: list[Node] = []
        try:
            wait_until(lambda: _command_of(self._holder.pid) == "sleep", 60, "the switch")
            _ip(self._holder.pid, "link", "add", "name", "bridge", "type", "bridge")
            _ip(self._holder.pid, "link", "set", "bridge", "up")
            for number in range(1, count + 1):
                self._nodes.append(Node(number, self._holder.pid, folder))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Any:
        return iter(self._nodes)

    def close(self) -> None:
        """Kill everything, and wait for it."""
        for node in self._nodes:
            node.kill()
        self._holder.kill()
        _finish(self._holder)


def _finish(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process that was killed, and close its pipes, unless the test has done so."""
    if process.stdout is None or not process.stdout.closed:
        process.communicate(timeout=60)


def _start(prefix: list[str], *command: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([*prefix, *command], text=True, **{**PIPES, **options})


def _inside(pid: int) -> list[str]:
    """Return what runs a command in the network of a process."""
    return ["nsenter", "--target", str(pid), "--net", *(["--user", "--preserve-credentials"] if USER else [])]


def _ip(pid: int, *arguments: str) -> None:
    done = subprocess.run([*_inside(pid), "ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _first_process(holder: subprocess.Popen[str], command: str) -> int:
    """Return the number of the first process of a node, seen from outside, once it has become `command`."""

    def found() -> list[int]:
        assert holder.poll() is None, holder.communicate()
        children = [child.rpartition(" ") for child in child_processes(holder.pid)]
        return [int(number) for name, _, number in children if name == command]

    wait_until(found, 60, "the start of a node")
    return found()[0]


def _command_of(pid: int) -> str:
    from pathlib import Path

    return Path(f"/proc/{pid}/comm").read_text().strip()
