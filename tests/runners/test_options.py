"""The options of the commands, and the dataclasses that they are read into."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import click
import pytest

from runners import linear, logistic, mlp
from runners.course import lessons

if TYPE_CHECKING:
    from runners.launch.options import SinkOptions

COMMANDS: list[tuple[click.Command, type[SinkOptions]]] = [
    (mlp.main, mlp.MlpOptions), (logistic.main, logistic.LogisticOptions),
    (linear.main, linear.LinearOptions), (lessons.lessons, lessons.LessonOptions),
]  # fmt: skip


@pytest.mark.parametrize(("command", "options"), COMMANDS, ids=["mlp", "logistic", "linear", "lessons"])
def test_each_option_has_a_field(command: click.Command, options: type[SinkOptions]) -> None:
    on_the_command_line = {param.name for param in command.params if isinstance(param, click.Option)}
    unset = {"all_dashboards"} | ({"data_dir", "mnist_mirror"} if command is linear.main else set())  # it has its data
    assert on_the_command_line | unset == {field.name for field in fields(options)}


@pytest.mark.parametrize("runner", ["mlp", "logistic", "linear"])
def test_help_does_not_load_torch(runner: str) -> None:
    script = (
        "import sys; from monitor.cli import main\n"
        f"try: main(['train', '{runner}', '--help'])\n"
        "finally: print([name for name in ('torch', 'numpy', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
