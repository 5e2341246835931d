"""Bad input to `monitor train mlp` is one line, and leaves nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.train_command import invoke, train

BAD = [
    (
        ["--sink", "wandb"],
        "--sink",
        "unknown sink 'wandb'; known sinks: console, memory, notebook, tensorboard, visdom",
    ),
    (["--sink", "visdom://127.0.0.1:99999"], "--sink", "Port out of range 0-65535"),
    (["--sink", "visdom://127.0.0.1:http"], "--sink", "'http'"),
    (["--sink", "visdom://127.0.0.1:0"], "--sink", "port 1 to 65535"),
    (["--sink", "tensorboard://here"], "--sink", "takes no address"),
    (["--sink", "visdom:env"], "--sink", "accepted: name or name://host:port/env"),
    (["--epochs", "-1"], "--epochs", "-1 is not in the range x>=1"),
    (["--batch-size", "0"], "--batch-size", "0 is not in the range x>=1"),
    (["--lr", "0"], "--lr", "0.0 is not in the range x>0"),
    (["--lr", "nan"], "--lr", "nan is not a finite number"),
    (["--mnist-mirror", "here"], "--mnist-mirror", "'here' is not a URL"),
    (["--name", "x" * 300], "--name", "is too long"),
    (["--name", "a\nb"], "--name", "is not a valid name for a directory"),
    (["--lr", "fast"], "--lr", "'fast' is not a valid float"),
    (["--hidden", "200,x"], "--hidden", "'200,x' is not a list of widths"),
    (["--activation", "step"], "--activation", "'step' is not one of 'relu', 'leaky-relu'"),
    (["--optimizer", "sgdx"], "--optimizer", "there is no 'sgdx'; did you mean 'sgd'"),
    (["--device", "tpu"], "--device", "'tpu' is not available"),
    (["--seed", "-1"], "--seed", "-1 is not in the range"),
    (["--log-every", "1.5"], "--log-every", "'1.5' is not a valid integer"),
    (["--test-every", "2.5"], "--test-every", "'2.5' is neither 'epoch' nor a number of steps"),
    (["--name", "../up"], "--name", "'../up' is not a valid name for a directory"),
    (["--data", "cifar"], "--data", "there is no 'cifar'; did you mean 'cifar10'?"),
    (["--data", "x"], "--data", "'x' is not one of 'auto', 'mnist', 'fashion-mnist', 'kmnist', 'cifar10', 'digits'"),
    (["--sink", "visdm"], "--sink", "unknown sink 'visdm'; did you mean 'visdom'?"),
    (["--resume", "b"], "there is no run 'b'", ""),
    (["--nonsense"], "--nonsense", "No such option"),
    (["extra"], "extra", "unexpected extra argument"),
]


@pytest.mark.parametrize(("arguments", "names", "says"), BAD, ids=lambda value: " ".join(value)[:30])
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, small_mnist: Path, arguments: list[str], names: str, says: str
) -> None:
    result = train(tmp_path, small_mnist, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(r"Error: [^\n]+\n", result.stderr)
    assert names in result.stderr
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sink_whose_packages_are_missing_names_the_extra(tmp_path: Path) -> None:
    script = "import sys; sys.modules['orjson'] = None; from monitor.cli import main; main()"
    command = [sys.executable, "-c", script, "train", "mlp", "--logdir", str(tmp_path / "runs"), "--sink", "visdom"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 2
    assert re.fullmatch(r"Error: [^\n]+\n", done.stderr)
    assert "pip install 'training-monitor[visdom]'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_an_unknown_command_or_runner_is_one_line() -> None:
    for arguments, says in (
        (["fly"], "No such command 'fly'; known: assets, compare, "),
        (["trian"], "No such command 'trian'; did you mean 'train'?"),
        (["train", "gan"], "No such command 'gan'; known: linear, logistic, mlp"),
        (["train", "mpl"], "No such command 'mpl'; did you mean 'mlp'?"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert re.fullmatch(r"Error: [^\n]+\n", result.stderr)
        assert says in result.stderr


def test_a_log_directory_that_cannot_be_written(tmp_path: Path, small_mnist: Path) -> None:
    (tmp_path / "file").write_text("")
    for logdir in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/runs")):
        result = invoke("train", "mlp", "--data", "mnist", "--data-dir", small_mnist, "--logdir", logdir)
        assert result.exit_code == 2, result.output
        assert re.fullmatch(r"Error: [^\n]+\n", result.stderr)
        assert "--logdir" in result.stderr
        assert str(logdir) in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_help_lists_commands_and_runners_without_torch() -> None:
    script = "import sys; from monitor.cli import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    for arguments, says in ((["--help"], "train"), (["train", "--help"], "mlp"), (["train", "mlp", "-h"], "--lr")):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
