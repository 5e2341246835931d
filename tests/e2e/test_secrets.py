"""No secret of settings or command lines is left in any byte of a run, or in what a dashboard keeps of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner

from monitor.cli import main
from tests.support import wandb_logs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer

SECRET = "hunter2-b7QxV"
SCRIPT = f"""
import sys
from argparse import Namespace
from monitor import Logger, SummaryWriter
folder, server, _, _, url = sys.argv[1:]
hub = {{"api-key": {SECRET!r}, "users": [{{"password": {SECRET!r}}}]}}
config = Namespace(hf_token={SECRET!r}, mirror=url, hub=hub)
with Logger(folder + "/a", ["tensorboard", server], config) as log:
    log.scalar("loss", 0.5, 0)
    log.config.update(db_passwd={SECRET!r}, lr=0.25)
writer = SummaryWriter(folder + "/b", sinks=["tensorboard", server])
writer.add_hparams({{"api_key": {SECRET!r}, "lr": 0.5}}, {{"score": 1.0}}, {{"api_key": [{SECRET!r}]}})
writer.close()
with Logger(folder + "/c", ["tensorboard"]) as log:
    log.config["token"] = {SECRET!r}
    raise SystemExit(f"403 for {{url}}")
"""


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_secrets_of_a_script(tmp_path: Path, visdom_server: VisdomServer, start: Start) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    url = f"https://ann:{SECRET}@host/?access_token={SECRET}"
    options = [str(tmp_path / "runs"), visdom_server.spec(), "--api-key", SECRET, url]
    process = start(str(script), *options)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 1, err
    facts = json.loads((tmp_path / "runs" / "a" / "run.json").read_text())
    assert facts["command"][-5:] == [*options[:3], "***", "https://ann:***@host/?access_token=***"]
    assert facts["config"] == {
        "hf_token": "***", "mirror": "https://ann:***@host/?access_token=***", "hub.api-key": "***",
        "hub.users": [{"password": "***"}], "db_passwd": "***", "lr": 0.25,
    }  # fmt: skip
    assert json.loads((tmp_path / "runs" / "b" / "run.json").read_text())["config"] == {"api_key": "***", "lr": 0.5}
    requests.post(f"{visdom_server.url}/save", json={"data": ["a", "b"]}, timeout=5).raise_for_status()
    kept, saved = contents(tmp_path / "runs"), contents(visdom_server.folder)
    assert b"lr" in kept
    assert b"db_passwd: ***" in kept
    assert b"db_passwd: ***" in saved
    for where in (kept, saved):
        assert SECRET.encode() not in where


def test_secrets_of_a_run_of_wandb(
    tmp_path: Path, visdom_server: VisdomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = {"lr": 0.1, "hub.token": SECRET, "args": {"password": SECRET}, "num_tokens": 512}
    log = wandb_logs.write(
        tmp_path / "wandb" / "run-1" / "run-id.wandb",
        wandb_logs.run("id", "base", settings), wandb_logs.row(0, {"loss": 1.0}),
        wandb_logs.config(api_key=SECRET), wandb_logs.row(1, {"loss": 0.5}), wandb_logs.end(),
    )  # fmt: skip
    sinks = ["--sink", "tensorboard", "--sink", visdom_server.spec(), "--logdir", str(tmp_path / "out")]
    found = CliRunner().invoke(main, ["replay", str(log), *sinks])
    assert found.exit_code == 0, found.output
    wanted = {"lr": 0.1, "hub.token": "***", "args.password": "***", "num_tokens": 512, "api_key": "***"}
    (file,) = (tmp_path / "out").rglob("run.json")
    assert json.loads(file.read_text())["config"] == wanted
    assert "api_key: ***" in visdom_server.windows("base")["config"]["content"]
    for where in (tmp_path / "out", tmp_path / "data", visdom_server.folder):
        assert SECRET.encode() not in contents(where)


@pytest.mark.slow
def test_secrets_of_an_unchanged_script(tmp_path: Path, start: Start) -> None:
    (tmp_path / "train.py").write_text(
        "import sys\nfrom torch.utils.tensorboard import SummaryWriter\n"
        f"writer = SummaryWriter('logs')\nwriter.add_hparams({{'hf_token': {SECRET!r}, 'lr': 0.5}}, {{'score': 1.0}})\n"
        f"writer.close()\nraise OSError('no login with api_key={SECRET}')\n"
    )
    command = ["-m", "monitor", "run", "--sink", "tensorboard", "train.py", "--api-key", SECRET, f"hub.token={SECRET}"]
    process = start(*command, cwd=tmp_path)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    facts = json.loads((tmp_path / "logs" / "run.json").read_text())
    assert facts["command"][-3:] == ["--api-key", "***", "hub.token=***"]
    assert facts["config"] == {"hf_token": "***", "lr": 0.5}
    assert facts["error"] == "OSError: no login with api_key=***"
    (tmp_path / "train.py").unlink()
    (tmp_path / "logs" / "output.log").unlink()  # what the script prints stays as it is
    assert SECRET.encode() not in contents(tmp_path)
