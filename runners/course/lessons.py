"""`monitor lessons`: the material's experiments, listed, or run with all their runs in one group and compared."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import Any

import click

from monitor.commands.base import MonitorCommand
from runners.course.catalogue import LESSONS, Lesson
from runners.launch.options import data_options, sink_options


@click.command(cls=MonitorCommand, context_settings={"show_default": True})
@click.argument("name", required=False, type=click.Choice(list(LESSONS)), metavar="[NAME]")
@click.option("--epochs", type=click.IntRange(min=1), help="Of each run.  [default: the runner's own]")
@click.option("--data", metavar="NAME", help="Of the lessons with images.  [default: auto]")
@data_options
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="For the diabetes lesson.")
@sink_options
def lessons(name: str | None, **given: Any) -> None:
    """List the course's experiments, or run one: all its runs in one group, compared at the end."""
    if name is None:
        for title, lesson in LESSONS.items():
            click.echo(f"{title}\n{_wrapped(lesson.look, '    ')}")
            for arguments in lesson.runs.values():
                click.echo(f"    monitor train {arguments}")
            if not lesson.runs:
                click.echo(f"    monitor lessons {title}")
        click.echo("\nRun one, with all its runs side by side: monitor lessons NAME")
        return
    lesson = LESSONS[name]
    _check(name, lesson, given)
    from runners.course.experiment_group import run_all, run_worked

    click.echo(_wrapped(lesson.look))
    if not lesson.runs:
        run_worked(name, given)
        return
    run_all(name, {run: _arguments(lesson, text, given) for run, text in lesson.runs.items()}, given, lesson.one_loss)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, initial_indent=indent, subsequent_indent=indent)


def _check(name: str, lesson: Lesson, given: dict[str, Any]) -> None:
    if (name == "diabetes") != (given["csv"] is not None):
        raise click.BadParameter("the diabetes lesson, and no other, needs --csv FILE.", param_hint="'--csv'")
    for option in ("data", "data_dir", "mnist_mirror"):
        if given[option] is not None and not (lesson.images and lesson.runs):
            hint = f"'--{option.replace('_', '-')}'"
            raise click.BadParameter(f"the lesson {name} uses no images.", param_hint=hint)


def _arguments(lesson: Lesson, text: str, given: dict[str, Any]) -> list[str]:
    """Complete a run's arguments; a later option wins over the same before it."""
    arguments = shlex.split(text)
    wanted = ["epochs", "csv", *(["data", "data_dir", "mnist_mirror"] if lesson.images else [])]
    for option in wanted:
        if given[option] is not None:
            arguments += [f"--{option.replace('_', '-')}", str(given[option])]
    return arguments
