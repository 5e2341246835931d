"""`monitor replay`: bring any TensorBoard log to Visdom, or to any other sink."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards
from monitor.events.files import runs_under
from monitor.runs.process import signals_as_exit
from monitor.runs.run import Run
from monitor.sinks import registry

if TYPE_CHECKING:
    from monitor.delivery.replay import Replay
    from monitor.sinks.base import Sink
    from monitor.sinks.visdom.sink import VisdomSink

POLL_INTERVAL_S = 0.5  # seconds
DEFAULT_LOGDIR = Path("runs")  # where runs go by default


@click.command(cls=MonitorCommand)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--sink", "specs", multiple=True, required=True,
              help="Where to: visdom, visdom://host:port/env, tensorboard, console; repeatable.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("--logdir", type=click.Path(file_okay=False, path_type=Path), help="Where new event files go.")
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
def replay(path: Path, specs: tuple[str, ...], follow: bool, logdir: Path | None, open_browser: bool) -> int:
    """Stream the TensorBoard event files of PATH to a sink, whoever wrote them; each run gets an env of its own."""
    from platformdirs import user_data_path

    from monitor.delivery.replay import Replay

    if not path.exists() and (DEFAULT_LOGDIR / path).exists():  # the name of a run
        path = DEFAULT_LOGDIR / path
    if not path.exists():
        raise click.BadParameter(f"there is no {str(path)!r}.", param_hint="'PATH'")
    found = runs_under(path)
    if not found and not follow:
        raise click.BadParameter(f"there are no event files (*tfevents*) in {str(path)!r}.", param_hint="'PATH'")
    templates = {spec: registry.make(spec) for spec in specs}
    if logdir is None and any(sink.name == "tensorboard" for sink in templates.values()):
        raise click.BadParameter("--sink tensorboard needs --logdir, where to write.", param_hint="'--logdir'")
    kept = user_data_path("training-monitor") / "visdom"
    lost: list[str] = []
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        first = Run(_as_file(next(iter(found), path.name)), is_written=False)
        served = list(templates.values())
        boards = start_dashboards(served, kept, lambda sink: sink.url_of(first), cleanup, open_browser=open_browser)
        if not served:
            fail("none of the sinks can be had", 1)
        replays: dict[str, Replay] = {}
        try:
            while True:
                for name, at in runs_under(path).items():
                    if name not in replays:
                        sinks = [_same(spec, sink) for spec, sink in templates.items() if sink in served]
                        run = Run(logdir / name) if logdir is not None else Run(_as_file(name), is_written=False)
                        replays[name] = Replay(name, at, sinks, run)
                    replays[name].forward()
                    if not follow:
                        lost += _end(replays[name], kept)
                if not follow:
                    break
                time.sleep(POLL_INTERVAL_S)
        except (KeyboardInterrupt, SystemExit):
            if not follow:
                raise
            for one in replays.values():
                lost += _end(one, kept)
        for line in lost:
            echo(line, err=True)
        if not follow:
            keep_dashboards_up(boards, logdir, kept if any(board.process for board in boards) else None, "All is sent")
    return 1 if lost else 0


def _as_file(name: str) -> Path:
    return Path(name.replace("/", "_"))


def _same(spec: str, sink: Sink) -> Sink:
    """Make another sink as this one, for another run."""
    made = registry.make(spec)
    if sink.name == "visdom":
        cast("VisdomSink", made).connect_to(cast("VisdomSink", sink).url)
    return made


def _end(one: Replay, kept: Path) -> list[str]:
    """End a run's replay; keep its windows where a server of ours finds them again. Return what was not delivered."""
    lost = one.close()
    echo(one.summary())
    for sink in one.sinks:
        if sink.name == "visdom":
            cast("VisdomSink", sink).save(kept)
    return lost
