"""A checkpoint does not decide where data, logins, and downloads go: the user does."""

from __future__ import annotations

import http.server
import os
import pty
import select
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from monitor.cli import main
from monitor.sinks.visdom.client import VisdomClient
from runners.training.checkpointing import checkpoints
from tests.runners.test_checkpoints import save_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.processes import Start

OTHER_HOST = "127.0.0.2"  # reached on this machine, but none of its usual names


class Recorder:
    """A server that asks everybody for a login, and keeps what it was sent."""

    def __init__(self, host: str) -> None:
        self.bodies: list[bytes] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                recorder.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                is_login = b"password" in recorder.bodies[-1]
                self.send_response(200 if is_login or self.headers["Cookie"] else 401)
                self.send_header("Content-Length", "0")
                self.send_header("Set-Cookie", "a=b")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.spec = f"visdom://{host}:{self._server.server_port}/env"
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def logins(self) -> list[bytes]:
        """The requests that contain the user's name."""
        return [body for body in self.bodies if b"ali" in body]

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    recorder = Recorder(OTHER_HOST)
    yield recorder
    recorder.stop()


@pytest.fixture
def here() -> Iterator[Recorder]:
    recorder = Recorder("127.0.0.1")
    yield recorder
    recorder.stop()


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISDOM_USERNAME", "ali")
    monkeypatch.setenv("VISDOM_PASSWORD", "sesame")
    monkeypatch.delenv("MONITOR_VISDOM_LOGIN_HOST", raising=False)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "logistic", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with checkpoints, made once."""
    folder = tmp_path_factory.mktemp("finished")
    done = invoke("--data", "hours", "--epochs", 3, "--sink", "tensorboard", "--checkpoint-every", "epoch", "--logdir",
                  folder, "--name", "a")  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "a"


@pytest.fixture
def make_run(finished: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the run, and put options into its checkpoint, as whoever sends one could."""

    def make(folder: Path = tmp_path, **options: Any) -> Path:
        run = Path(shutil.copytree(finished, folder / "a"))
        name, contents = checkpoints.load(run)
        contents["options"] |= options
        (run / "checkpoints" / name).unlink()
        _mark(run, save_as(run, contents["at"]["step"], contents), contents["at"]["step"])
        return run

    return make


def _mark(run: Path, checkpoint: str, step: int) -> None:
    """Add the mark of a checkpoint to the event files, as whoever forges one would."""
    from monitor.events import summaries
    from monitor.events.framing import frame

    file = sorted(run.glob("*tfevents*"))[-1]
    with file.open("ab") as opened:
        opened.write(frame(summaries.checkpoint(checkpoint, step, time.time()).SerializeToString()))


def files_of(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


OUTSIDE = {
    "sinks": ["tensorboard", "visdom://evil.example:8097/x"],
    "data_dir": "/etc",
    "mnist_mirror": "http://evil.example/mnist/",
    "csv": "/etc/passwd",
}
NAMED = {
    "sinks": "--sink 'visdom://evil.example:8097/x'",
    "data_dir": "--data-dir '/etc'",
    "mnist_mirror": "--mnist-mirror 'http://evil.example/mnist/'",
    "csv": "--csv '/etc/passwd'",
}


@pytest.mark.parametrize("option", OUTSIDE)
def test_without_a_terminal_each_is_refused_by_name(make_run: Callable[..., Path], option: str) -> None:
    run = make_run(**{option: OUTSIDE[option]})
    before = files_of(run)
    refused = invoke("--resume", run)
    assert refused.exit_code == 2, refused.output
    assert refused.stderr.count("\n") == 1
    assert f"asks for {NAMED[option]}, outside the run" in refused.stderr
    assert "--trust-options" in refused.stderr
    assert files_of(run) == before


def test_all_of_them_are_named(make_run: Callable[..., Path]) -> None:
    run = make_run(**OUTSIDE)
    assert f"asks for {', '.join(NAMED.values())}, outside" in invoke("--resume", run).stderr


@pytest.mark.parametrize(
    "sinks", [["tensorboard", "visdom"], ["visdom://localhost:9", "tensorboard"], ["console", "tensorboard", "memory"]]
)
def test_what_stays_on_this_machine_needs_no_question(
    make_run: Callable[..., Path], tmp_path: Path, sinks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITOR_VISDOM_PORT", "9")
    run = make_run(sinks=sinks, data_dir=str(tmp_path / "a" / "data"))
    resumed = invoke("--resume", run, "--sink", "tensorboard") if "visdom" in str(sinks) else invoke("--resume", run)
    assert resumed.exit_code == 0, resumed.output


def test_what_is_given_again_counts_and_the_rest_is_still_refused(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = make_run(sinks=OUTSIDE["sinks"], data_dir="/etc")
    assert "asks for --data-dir '/etc', outside" in invoke("--resume", run, "--sink", "tensorboard").stderr
    resumed = invoke("--resume", run, "--sink", "tensorboard", "--data-dir", tmp_path)
    assert resumed.exit_code == 0, resumed.output


@pytest.mark.slow
def test_trusted_options_are_used_but_get_no_login(make_run: Callable[..., Path], elsewhere: Recorder) -> None:
    run = make_run(sinks=["tensorboard", elsewhere.spec])
    assert invoke("--resume", run).exit_code == 2
    assert elsewhere.bodies == []
    resumed = invoke("--resume", run, "--trust-options")
    assert resumed.exit_code == 0, resumed.output
    assert elsewhere.bodies, "the server should have been asked"
    assert elsewhere.logins == []


def test_a_server_on_the_command_line_gets_the_login(make_run: Callable[..., Path], elsewhere: Recorder) -> None:
    run = make_run(sinks=["tensorboard", elsewhere.spec])
    resumed = invoke("--resume", run, "--sink", "tensorboard", "--sink", elsewhere.spec)
    assert resumed.exit_code == 0, resumed.output
    assert elsewhere.logins


def test_the_login_s_own_host_gets_it(
    make_run: Callable[..., Path], elsewhere: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITOR_VISDOM_LOGIN_HOST", OTHER_HOST)
    run = make_run(sinks=["tensorboard", elsewhere.spec])
    assert invoke("--resume", run, "--trust-options").exit_code == 0
    assert elsewhere.logins


def test_whom_a_client_tells_the_login(here: Recorder, elsewhere: Recorder) -> None:
    for recorder, from_user, is_told in ((here, False, True), (elsewhere, False, False), (elsewhere, True, True)):
        recorder.bodies.clear()
        client = VisdomClient(recorder.url, from_user=from_user)
        if is_told:
            client.ping("env")
        else:
            with pytest.raises(PermissionError, match="MONITOR_VISDOM_LOGIN_HOST"):
                client.ping("env")
        client.close()
        assert bool(recorder.logins) == is_told
    client = VisdomClient(elsewhere.url, "ali", "given in code", from_user=False)
    client.ping("env")
    client.close()
    assert elsewhere.logins


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_on_a_terminal_it_is_a_question(make_run: Callable[..., Path], answer: str, status: int, start: Start) -> None:
    run = make_run(data_dir="/nowhere")
    before = files_of(run)
    ours, theirs = pty.openpty()
    command = ("-m", "monitor", "train", "logistic", "--resume", str(run))
    process = start(*command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    while b"Use these options? [y/N]" not in shown:
        assert select.select([ours], [], [], deadline - time.monotonic())[0], shown
        shown += os.read(ours, 4096)
    os.write(ours, answer.encode())
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert process.wait(60) == status, shown.decode()
    assert f"{str(run)!r} reaches outside the run:\r\n  --data-dir '/nowhere'\r\n".encode() in shown
    assert (files_of(run) == before) == (status != 0)


def test_the_options_of_a_checkpoint_are_checked(make_run: Callable[..., Path], tmp_path: Path) -> None:
    cases: dict[str, Any] = {
        "epochs": "3", "lr": -1.0, "optimizer": "none", "sinks": "tensorboard", "data": 3, "log_every": 0,
        "alerts": ["no rule"], "checkpoint_every": "never", "momentum": [1], "seed": -1,
    }  # fmt: skip
    for number, (option, value) in enumerate(cases.items()):
        run = make_run(tmp_path / str(number), **{option: value})
        refused = invoke("--resume", run)
        assert refused.exit_code == 2, (option, refused.output)
        assert f"is damaged: its option {option!r} is {value!a}" in refused.stderr
