"""`monitor lessons`: list the course's experiments, or run one, with all its runs in one group and compared."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.option_values import NameChoice
from runners.choices import IMAGE_DATASETS
from runners.course.catalogue import LECTURES, LESSONS, Lesson
from runners.launch.options import SinkOptions, data_options, sink_options

LINE_WIDTH = 100  # characters
MLP_EPOCHS = 3  # where the lesson says nothing else; on the digits too, of which `monitor train mlp` takes 150
IMAGE_OPTIONS = ("data", "data_dir", "mnist_mirror")  # for lessons with images
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class LessonOptions(SinkOptions):
    """The options of `monitor lessons NAME`; all but the sinks go on to the lesson's runs."""

    epochs: int | None
    data: str | None
    data_dir: Path | None
    mnist_mirror: str | None
    csv: Path | None
    as_on_the_slide: bool = False


@click.command(cls=MonitorCommand, context_settings={"show_default": True})
@click.argument("name", required=False, type=NameChoice([*LESSONS, ALL]), metavar="[NAME|all]")
@click.argument("values", nargs=-1, metavar="[VALUES]...")
@click.option("--as-on-the-slide", is_flag=True,
              help="Start as the slide does, and end with its numbers, if they are known, beside the run's: "
              f"{', '.join(name for name, lesson in LESSONS.items() if lesson.slide_runs)}.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), help="Of each run.  [default: the lesson's]")
@click.option("--data", type=NameChoice(["auto", *IMAGE_DATASETS]), help="For lessons with images.  [default: auto]")
@data_options
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="For the diabetes lesson.")
@sink_options
def lessons(name: str | None, values: tuple[str, ...], **params: Any) -> int:
    """List the course's experiments, or run one, or all; the runs of one are a group, compared at the end.

    Each ends with a sentence that was checked against its own runs. If it does not hold, the exit status is 1, unless
    you changed the lesson, as with --epochs. bce-by-hand and entropy also compute VALUES of yours.
    """
    if name is None:
        _list_lessons()
        return 0
    options = LessonOptions(**params)
    if name == ALL:
        return _run_all(options, values)
    _check_options(name, LESSONS[name], options, values)
    return 0 if _run(name, options, values) else 1


def _run(name: str, options: LessonOptions, values: tuple[str, ...] = ()) -> bool:
    """Run one lesson; return whether it has shown what it is about, or was changed, so that it need not."""
    from runners.course.experiment_group import run_group, run_worked_example

    lesson = LESSONS[name]
    click.echo(_wrap(lesson.description))
    if not lesson.runs:
        return run_worked_example(name, values, options) or bool(values)
    commands = lesson.slide_runs if options.as_on_the_slide else lesson.runs
    runs = {run: _arguments(lesson, command, options) for run, command in commands.items()}
    has_published = options.as_on_the_slide or lesson.slide_runs == lesson.runs
    is_changed = options.epochs is not None
    has_published = has_published and not is_changed
    return run_group(name, runs, options, lesson, csv=options.csv, has_published=has_published) or is_changed


def _run_all(options: LessonOptions, values: tuple[str, ...]) -> int:
    """Run all lessons with the options that each takes; the one that needs a file is left out without it."""
    if values or options.as_on_the_slide:
        raise click.BadParameter("goes with one lesson.", param_hint="'VALUES'" if values else "'--as-on-the-slide'")
    has_shown: dict[str, bool] = {}
    for name, lesson in LESSONS.items():
        click.echo(f"\n{name}")
        if name == "diabetes" and options.csv is None:
            click.echo("left out: it needs --csv FILE")
            continue
        changes: dict[str, Any] = {"wait": False}
        if name != "diabetes":
            changes["csv"] = None
        if not (lesson.has_images and lesson.runs):
            changes |= dict.fromkeys(IMAGE_OPTIONS)
        has_shown[name] = _run(name, replace(options, **changes))
    missing = [name for name, has in has_shown.items() if not has]
    click.echo(f"\n{len(has_shown) - len(missing)} of {len(has_shown)} lessons have shown what they are about")
    for name in missing:
        click.echo(f"  not {name}")
    return 1 if missing else 0


def _list_lessons() -> None:
    width = max(map(len, LESSONS))
    for lecture in LECTURES:
        click.echo(f"{lecture}\n")
        for name, lesson in LESSONS.items():
            if lesson.lecture == lecture:
                click.echo(f"  {name:<{width}}  {lesson.seconds:>3} s  {lesson.shows}")
        click.echo()
    click.echo("Run one, with all its runs side by side: monitor lessons NAME; or all: monitor lessons all")
    click.echo("The times are those of one core, without the start of the dashboards.")


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])}{',' if len(names) > 2 else ''} and {names[-1]}"


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, LINE_WIDTH, initial_indent=indent, subsequent_indent=indent)


def _check_options(name: str, lesson: Lesson, options: LessonOptions, values: tuple[str, ...]) -> None:
    """Raise `click.BadParameter` for options that the lesson does not take."""
    if values and not lesson.takes_values:
        takers = _and([other for other, lesson in LESSONS.items() if lesson.takes_values])
        raise click.BadParameter(f"the lesson {name} takes none; these do: {takers}.", param_hint="'VALUES'")
    if options.as_on_the_slide and not lesson.slide_runs:
        others = _and([other for other, lesson in LESSONS.items() if lesson.slide_runs])
        message = f"the lesson {name} has no start of a slide; these do: {others}."
        raise click.BadParameter(message, param_hint="'--as-on-the-slide'")
    if (name == "diabetes") != (options.csv is not None):
        raise click.BadParameter("the diabetes lesson, and no other, needs --csv FILE.", param_hint="'--csv'")
    for option in IMAGE_OPTIONS:
        if getattr(options, option) is not None and not (lesson.has_images and lesson.runs):
            hint = f"'--{option.replace('_', '-')}'"
            raise click.BadParameter(f"the lesson {name} uses no images.", param_hint=hint)


def _arguments(lesson: Lesson, command: str, options: LessonOptions) -> list[str]:
    """Return the arguments of a run with the lesson's options after them: of one given twice, the last counts."""
    arguments = shlex.split(command)
    if arguments[0] == "mlp" and "--epochs" not in arguments:
        arguments += ["--epochs", str(MLP_EPOCHS)]
    for option in ("epochs", "csv", *(IMAGE_OPTIONS if lesson.has_images else ())):
        value = getattr(options, option)
        if value is not None:
            arguments += [f"--{option.replace('_', '-')}", str(value)]
    return arguments
