"""`monitor lessons`: list the course's experiments, or run one, with all its runs in one group and compared."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.option_values import NameChoice
from runners.choices import IMAGE_DATASETS
from runners.course.catalogue import LESSONS, Lesson
from runners.launch.options import SinkOptions, data_options, sink_options

LINE_WIDTH = 100  # characters
MLP_EPOCHS = 10  # on the digits too, of which `monitor train mlp` takes 300
IMAGE_OPTIONS = ("data", "data_dir", "mnist_mirror")  # for lessons with images


@dataclass(frozen=True, kw_only=True)
class LessonOptions(SinkOptions):
    """The options of `monitor lessons NAME`; all but the sinks go on to the lesson's runs."""

    epochs: int | None
    data: str | None
    data_dir: Path | None
    mnist_mirror: str | None
    csv: Path | None


@click.command(cls=MonitorCommand, context_settings={"show_default": True})
@click.argument("name", required=False, type=NameChoice(LESSONS), metavar="[NAME]")
@click.option("--epochs", type=click.IntRange(min=1), help="Of each run.  [default: 10 for the MLP, else the runner's]")
@click.option("--data", type=NameChoice(["auto", *IMAGE_DATASETS]), help="For lessons with images.  [default: auto]")
@data_options
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="For the diabetes lesson.")
@sink_options
def lessons(name: str | None, **params: Any) -> None:
    """List the course's experiments, or run one: all its runs in one group, compared at the end."""
    if name is None:
        _list_lessons()
        return
    lesson, options = LESSONS[name], LessonOptions(**params)
    _check_options(name, lesson, options)
    from runners.course.experiment_group import run_group, run_worked_example

    click.echo(_wrap(lesson.description))
    if not lesson.runs:
        run_worked_example(name, options)
        return
    runs = {run: _arguments(lesson, command, options) for run, command in lesson.runs.items()}
    run_group(name, runs, options, has_one_loss=lesson.has_one_loss)


def _list_lessons() -> None:
    for name, lesson in LESSONS.items():
        click.echo(f"{name}\n{_wrap(lesson.description, '    ')}")
        for command in lesson.runs.values():
            click.echo(f"    monitor train {command}")
        if not lesson.runs:
            click.echo(f"    monitor lessons {name}")
    click.echo("\nRun one, with all its runs side by side: monitor lessons NAME")


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, LINE_WIDTH, initial_indent=indent, subsequent_indent=indent)


def _check_options(name: str, lesson: Lesson, options: LessonOptions) -> None:
    """Raise `click.BadParameter` for options that the lesson does not take."""
    if (name == "diabetes") != (options.csv is not None):
        raise click.BadParameter("the diabetes lesson, and no other, needs --csv FILE.", param_hint="'--csv'")
    for option in IMAGE_OPTIONS:
        if getattr(options, option) is not None and not (lesson.has_images and lesson.runs):
            hint = f"'--{option.replace('_', '-')}'"
            raise click.BadParameter(f"the lesson {name} uses no images.", param_hint=hint)


def _arguments(lesson: Lesson, command: str, options: LessonOptions) -> list[str]:
    """Return the arguments of a run with the lesson's options after them: of one given twice, the last counts."""
    arguments = shlex.split(command)
    if arguments[0] == "mlp" and options.epochs is None:
        arguments += ["--epochs", str(MLP_EPOCHS)]
    for option in ("epochs", "csv", *(IMAGE_OPTIONS if lesson.has_images else ())):
        value = getattr(options, option)
        if value is not None:
            arguments += [f"--{option.replace('_', '-')}", str(value)]
    return arguments
