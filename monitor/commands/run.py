"""`monitor run SCRIPT`: watch a script that logs with a SummaryWriter, without changing it."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.completion import complete_sinks
from monitor.commands.option_values import PlaceToWrite, check_sinks, is_installed, run_name
from monitor.commands.option_values import alerts as check_alerts
from monitor.commands.option_values import charts as check_charts
from monitor.commands.option_values import prune as check_prune
from monitor.commands.option_values import record as check_record
from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards, where
from monitor.delivery.pruning import sweep_environment
from monitor.integrations.script.run_script import ScriptProcess, command_line, environment, exit_like
from monitor.recording.options import RECORD_VARIABLE, check_environment
from monitor.remote.sending import VARIABLE as UPLOADED_VARIABLE
from monitor.remote.sending import Uploading
from monitor.remote.store import StoreError
from monitor.remote.urls import display_path
from monitor.render.charts.grouping import CHARTS_VARIABLE
from monitor.runs.listing import load
from monitor.runs.opening import default_name
from monitor.runs.output.capture import OUTPUT_FILE, OutputCapture, open_capture
from monitor.runs.processes.process import signals_as_exit
from monitor.runs.processes.rank import process_rank
from monitor.runs.run import Run
from monitor.runs.scripts.modules import has_module
from monitor.runs.scripts.script_runs import ScriptRuns, ending_of
from monitor.runs.scripts.script_session import (
    ALERTS_VARIABLE,
    CODE_VARIABLE,
    DIRECTORY_VARIABLE,
    FOLDER_VARIABLE,
    STARTED_VARIABLE,
    SUPERVISOR_VARIABLE,
)
from monitor.runs.status import RunStatus
from monitor.runs.trials.trial import SWEEP_VARIABLE
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.dashboards.server_process import DashboardServer
    from monitor.sinks.base import Sink

DEFAULT_SINKS = ("tensorboard", "visdom")
UPLOAD_TIMEOUT_S = 10.0  # without progress, at the end


@click.command(cls=MonitorCommand, context_settings={"allow_interspersed_args": False})
@click.option("--sink", "specs", multiple=True, callback=check_sinks, shell_complete=complete_sinks,
              help="Where to show the run; repeatable. Event files are always written.  "
              "[default: tensorboard, visdom if it is installed]")  # fmt: skip
@click.option("--alert", "alerts", multiple=True, callback=check_alerts, metavar="RULE",
              help="Such as 'loss/train > 2 * best for 3'; repeatable.")  # fmt: skip
@click.option("--prune", callback=check_prune, metavar="RULE",
              help="End the script early unless it keeps up with its peers, such as "
              "'test/accuracy max reduction_factor=3 peers=lr-search'.")  # fmt: skip
@click.option("--name", callback=run_name, help="The run's name, where the script names no directory.  "
              "[default: script, date and time]")  # fmt: skip
@click.option("--logdir", type=PlaceToWrite(file_okay=False, path_type=Path), default=Path("runs"),
              help="Directory for the run, where the script names none; also s3://bucket/runs.")  # fmt: skip
@click.option(
    "--output/--no-output", "keeps_output", default=True, help="Keep stdout and stderr in the run's output.log."
)
@click.option("--record", "recorded", callback=check_record, metavar="WHAT",
              help="What to record: all, none, or some of system, git, packages.  "
              "[default: MONITOR_RECORD, or all]")  # fmt: skip
@click.option("--chart", "charts", multiple=True, callback=check_charts, metavar="NAME=TAG,TAG",
              help="Show these curves in one chart, such as 'norms=grad_norm/*'; repeatable.  "
              "[default: MONITOR_CHARTS, or one chart per metric]")  # fmt: skip
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
@click.option("--wait", is_flag=True, help="Keep the dashboards up at the end, until Ctrl-C.")
@click.option("-m", "is_module", is_flag=True, help="SCRIPT is the name of a module, as in python -m.")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    specs: tuple[str, ...],
    alerts: tuple[str, ...],
    prune: str | None,
    name: str | None,
    logdir: Path,
    keeps_output: bool,
    recorded: str | None,
    charts: tuple[str, ...],
    open_browser: bool,
    wait: bool,
    is_module: bool,
    script: str,
    arguments: tuple[str, ...],
) -> None:
    """Run SCRIPT as it is, and show what it logs with a SummaryWriter of torch or tensorboardX.

    Options for `monitor run` come before SCRIPT, those of the script after it.
    """
    _check_script(script, is_module=is_module)
    command = command_line(script, arguments, is_module=is_module)
    if process_rank() > 0:  # rank 0 has the run and the dashboards
        _become(command)
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        made = [folder for folder in (logdir, *logdir.parents) if not folder.exists()]
        new_run = _new_run(script if is_module else Path(script).stem, name, logdir)
        session = ScriptSession(specs or tuple(filter(is_installed, DEFAULT_SINKS)), new_run, made, cleanup)
        session.start(logdir, open_browser=open_browser)
        code = session.run(command, alerts, charts, prune, keeps_output=keeps_output, recorded=recorded)
        session.show_results(logdir, wait=wait)
    exit_like(code)


class ScriptSession:
    """One script, with its runs and its dashboards."""

    def __init__(self, specs: Sequence[str], run: Run, made: Sequence[Path], cleanup: ExitStack) -> None:
        """Prepare it; `made` are the folders that were made for the run, and `cleanup` ends what it starts."""
        self._specs, self._run, self._cleanup = specs, run, cleanup
        self._started = run.started
        self._folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="monitor-run-")))
        self._runs = ScriptRuns(run, self._folder, made)
        self._sinks: dict[str, Sink] = {}
        self._servers: list[DashboardServer] = []
        self._upload: Uploading | None = None
        self._code = 0
        self._shown: Path | None = None  # the run whose pages were announced
        self._opens = False  # whether the first page is still to be opened

    def start(self, logdir: Path, *, open_browser: bool) -> None:
        """Find or start the dashboards. Blocks for some seconds."""
        sinks = [registry.make(spec) for spec in self._specs]
        self._sinks = dict(zip(self._specs, sinks))
        self._opens = open_browser and self._has_pages  # where they are is known when the script logs
        try:
            self._servers = start_dashboards(
                sinks,
                lambda sink: sink.url,
                self._cleanup,
                logdir=logdir,
                has_board="tensorboard" in self._specs and SWEEP_VARIABLE not in os.environ,  # a sweep has its own
                open_browser=open_browser and not self._has_pages,
                err=True,
            )
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
            self._run.finish(status, f"{type(error).__name__} while the dashboards started")
            raise
        self._sinks = {spec: sink for spec, sink in self._sinks.items() if sink in sinks}

    @property
    def _has_pages(self) -> bool:
        return any(isinstance(sink, DashboardSink) for sink in self._sinks.values())

    def run(
        self,
        command: list[str],
        alerts: Sequence[str],
        charts: Sequence[str],
        prune: str | None,
        *,
        keeps_output: bool,
        recorded: str | None,
    ) -> int:
        """Run the script, and return its return code, negative for a signal."""
        variables = {
            FOLDER_VARIABLE: str(self._folder),
            SUPERVISOR_VARIABLE: str(os.getpid()),
            DIRECTORY_VARIABLE: str(self._runs.path),
            STARTED_VARIABLE: str(self._started),
            UPLOADED_VARIABLE: str(self._runs.path),
            CODE_VARIABLE: os.path.abspath("."),  # noqa: PTH100 - as text
            ALERTS_VARIABLE: json.dumps(alerts),
            CHARTS_VARIABLE: ";".join(charts) or os.environ.get(CHARTS_VARIABLE, ""),
            RECORD_VARIABLE: recorded or check_environment() or "all",
            registry.SPECS_VARIABLE: ",".join(_spec_for_script(*item) for item in self._sinks.items()),
            SWEEP_VARIABLE: sweep_environment(prune, self._run),
        }
        capture = open_capture(self._runs.path / OUTPUT_FILE) if keeps_output else None
        stdout, stderr = (capture.stdout, capture.stderr) if capture else (1, 2)
        try:
            process = ScriptProcess(command, environment(variables), stdout, stderr)
            self._code = process.run(lambda: self._update(capture), capture.resize if capture else lambda: None)
        finally:
            self._update(capture)
            if capture is not None:
                capture.close()
        assert process.pid is not None
        ending = ending_of(self._code, self._folder, process.pid, was_interrupted=process.was_interrupted)
        self._runs.finish(ending, process.pid)
        info = load(self._runs.path)
        if info.status is RunStatus.PRUNED:  # by an interrupt, unless the script asks its logger
            echo(f"Pruned: {info.error}", err=True)
            self._code = 0
        is_complete = (self._upload or Uploading(self._runs.path)).close(UPLOAD_TIMEOUT_S)
        self._code = self._code or (0 if is_complete else 1)
        return self._code

    def _update(self, capture: OutputCapture | None) -> None:
        """Follow the script to the directory of its first writer; print the addresses of its pages."""
        self._runs.update(lambda path: capture.move(path / OUTPUT_FILE) if capture is not None else None)
        if self._shown is None and self._runs.is_logged:
            self._shown = self._runs.path
            self._upload = Uploading(self._shown)
            for sink in self._sinks.values():
                if isinstance(sink, DashboardSink):
                    page = _page_url(sink, self._shown)
                    echo(f"{sink.title}: {page}{where(page)}", err=True)
                    if self._opens:
                        self._opens = False
                        webbrowser.open(page)

    def show_results(self, logdir: Path, *, wait: bool) -> None:
        """Print where the run is; on a terminal, or to `wait`, keep the dashboards up if the script succeeded."""
        path = _relative(self._runs.path)
        echo(f"Run: {display_path(path)}", err=True)
        commands = []
        if self._runs.is_logged:
            is_below = self._runs.path.is_relative_to(logdir.absolute())
            shown = display_path(logdir if is_below else path.parent)
            commands.append(shlex.join(["monitor", "serve", "tensorboard", "--logdir", shown]))
            end_of_options = ["--"] if str(path).startswith("-") else []
            commands += [
                shlex.join(["monitor", "replay", "--sink", spec, *end_of_options, display_path(path)])
                for spec, sink in self._sinks.items()
                if isinstance(sink, DashboardSink)
            ]
        servers = self._servers if self._code == 0 else []
        keep_dashboards_up(servers, commands, "The script has ended", wait=wait, err=True)


def _check_script(script: str, *, is_module: bool) -> None:
    """Raise `click.BadParameter` for a script or a module that is not there; nothing is imported."""
    if not is_module:
        path = Path(script)
        if not script or not path.exists():
            raise click.BadParameter(f"{script!r} does not exist.", param_hint="'SCRIPT'")
        if path.is_dir() and not (path / "__main__.py").exists():
            raise click.BadParameter(f"{script!r} is a directory without __main__.py.", param_hint="'SCRIPT'")
        return
    if not has_module(script):
        raise click.BadParameter(f"there is no module named {script!r}.", param_hint="'SCRIPT'")


def _become(command: list[str]) -> NoReturn:
    """Run the script in place of this program, with the writers replaced and nothing else."""
    sys.stdout.flush()
    os.execve(command[0], command, environment({FOLDER_VARIABLE: ""}))


def _new_run(script: str, name: str | None, logdir: Path) -> Run:
    try:
        return Run(logdir / (name or default_name(script)))
    except StoreError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise click.BadParameter(f"{str(logdir)!r} cannot be written: {reason}", param_hint="'--logdir'") from error


def _spec_for_script(spec: str, sink: Sink) -> str:
    """Return the spec with which the script's writers log to the server that was found or started."""
    if not isinstance(sink, DashboardSink):
        return spec
    parts = urlsplit(spec)
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme or parts.path}://{user}{urlsplit(sink.url).netloc}{parts.path if parts.scheme else ''}"


def _page_url(sink: DashboardSink, path: Path) -> str:
    """Return the address of the page of a run, which is made if the script has not done that yet."""
    run = Run(path, is_written=False)
    try:
        return sink.open_page(run)
    except OSError:  # the script says more
        return sink.page_url(run)


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
