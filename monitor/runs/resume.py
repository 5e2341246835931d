"""Continue a run in the same curves, and record the end of a run whose process died.

Nothing that was logged is removed from the event files. A new file starts with a session start, at which TensorBoard
drops the checkpoint's step and everything above it; the file then repeats what had been logged at such steps before the
checkpoint was taken.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.events.files import event_files
from monitor.events.framing import CHECKSUM, FrameReader, parse_event
from monitor.events.reading.timeline_places import TimelinePlaces
from monitor.events.writer import EventFileWriter
from monitor.machine.files import FileRange, atomic_write, open_regular
from monitor.remote.claims import to_resume
from monitor.runs.listing import load, scan
from monitor.runs.processes import process
from monitor.runs.run import Run
from monitor.runs.run_file import RUN_FILE, parse_time, read_run_file, timestamp
from monitor.runs.scripts.script_session import is_held_by_supervisor
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger("monitor")

LARGE_EVENT_BYTES = 2**14
SESSION_START, SESSION_CHECKPOINT = 1, 3  # values of SessionLog.status


def reopen(directory: str | os.PathLike[str], checkpoint: str, step: int) -> Run:
    """Return the run in `directory`, ready to continue from `checkpoint`, which was taken at `step`.

    For an address such as `s3://bucket/runs/mlp`, the run is downloaded first if it is not here.

    `checkpoint` is the name that was passed to `Logger.checkpoint`; an empty name and step 0 start the run over.
    Blocks while it reads the event files. Raises `DataError` if there is no such run or checkpoint, if the run is still
    running, if an event file cannot be read, or if one is a link: what it leads to may belong to somebody else. Raises
    `OSError` if the run cannot be written.
    """
    path = to_resume(directory)
    refuse_running(path)
    return reopen_restarted(path, checkpoint, step)


def reopen_restarted(path: Path, checkpoint: str, step: int) -> Run:
    """Do what `reopen` does after the run's own job was restarted, whatever became of the process that had it.

    That one may seem to be running: its machine may have died just now, or may be cut off from this one.
    """
    files = event_files(path)
    for file in files:
        if file.is_symlink():
            raise DataError(f"{str(file)!r} is a symbolic link; a run is resumed from its own event files only")
    steps: dict[str, int] = {}
    timelines = TimelinePlaces()
    try:
        repeated = list(_logged_before(path, checkpoint, step, steps, timelines)) if checkpoint else []
        found = timelines.read()
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror or error}") from error
    fields = _next_life(path, step)
    for file in files:
        _drop_session_end(file)
    _write_file(path, [_session_start(step)], repeated)
    run = Run(path, previous=fields)
    run.is_resumed, run.steps, run.timelines = bool(checkpoint), steps, found
    run.controls_made = sum(change["step"] < step for change in run.controls)
    return run


def reopen_elsewhere(path: Path, step: int) -> Run:
    """Return the run in `path`, ready to go on at `step` from a checkpoint of another run.

    What it has logged at that step and above is superseded, and no change from a dashboard is made again. Blocks and
    raises as `reopen`, but whatever became of the process that had it.
    """
    run = reopen_restarted(path, "", step)
    run.is_resumed = True
    run.controls_made = len(run.controls)
    return run


def continue_run(directory: str | os.PathLike[str]) -> Run:
    """Return the run in `directory`, which has ended, ready to log more: nothing logged before is superseded.

    Blocks while it reads the event files. Raises `DataError` if there is no such run, or if it is still running in
    another process; raises `OSError` if it cannot be written.
    """
    path = to_resume(directory)
    refuse_running(path)
    fields = _next_life(path, load(path).progress.get("step"))
    for file in event_files(path):
        if not file.is_symlink():
            _drop_session_end(file)
    return Run(path, previous=fields)


def _next_life(path: Path, step: int | None) -> dict[str, Any]:
    """Return the fields of `run.json` for a run that goes on at `step`, with how it ended before."""
    fields, info = read_run_file(path), load(path)
    if is_held_by_supervisor(fields):
        return fields  # it has not ended: the script goes on
    status = RunStatus.LOST if info.status is RunStatus.RUNNING else info.status  # it can no longer say so itself
    until = fields.get("end") or fields.get("heartbeat")
    life = {"status": status, "error": fields.get("error"), "until": until, "step": step}
    lives = [*(fields.get("lives") or []), life]
    return {**fields, "resumed": timestamp(time.time()), "spent": info.duration or 0.0, "lives": lives}


def refuse_running(path: Path) -> None:
    """Raise `DataError` if the run in `path` is still running in another process, or if there is no run.

    A run that `monitor run` keeps for the script of this process is not running elsewhere.
    """
    fields = read_run_file(path)
    if fields.get("process") == process.identity() or is_held_by_supervisor(fields):
        return
    if load(path).status == RunStatus.RUNNING:
        where = f"in process {fields.get('pid')} on {fields.get('host')}"
        raise DataError(f"the run {str(path)!r} is still running, {where}")


def mark_lost_runs(logdir: Path) -> None:
    """Record the end of every run under `logdir` whose process on this machine is gone.

    Otherwise TensorBoard's HPARAMS would show it as running forever. A run that cannot be written is skipped.
    """
    for run in scan(logdir):
        if run.fields.get("status") != RunStatus.RUNNING or process.is_alive(run.fields.get("process")) is not False:
            continue
        try:
            record_end(run.path, run.fields, RunStatus.LOST, end=parse_time(run.fields.get("heartbeat")))
        except OSError as error:
            log.debug("%s: its end could not be recorded: %s", run.path, error)


def record_end(
    path: Path, fields: Mapping[str, Any], status: RunStatus, error: str | None = None, end: float | None = None
) -> None:
    """Record how a run ended whose process is gone, in `run.json`, which holds `fields`, and in an event file.

    `end` is in seconds since the epoch, by default now. Raises `OSError`.
    """
    end = end or time.time()
    if event_files(path):
        _write_file(path, [_session_end(end, succeeded=status == RunStatus.FINISHED)])
    last = {"status": status, "end": timestamp(end)} | ({} if error is None else {"error": error})
    atomic_write(path / RUN_FILE, json.dumps({**fields, **last}, indent=2, ensure_ascii=False) + "\n")


def _logged_before(
    path: Path, checkpoint: str, step: int, last_steps: dict[str, int], timelines: TimelinePlaces
) -> Iterator[bytes | FileRange]:
    """Yield the events at `step` or above that were logged before the checkpoint and are not superseded.

    Of a large one, its place is yielded, so that they need not all fit into memory. `last_steps` gets the highest step
    of each scalar at the checkpoint, `timelines` the places of those of predictions.
    """
    files_by_rank: dict[str, list[Path]] = {}
    for file in event_files(path):
        _, marker, rank = file.name.rpartition(".rank")
        files_by_rank.setdefault(rank if marker else "", []).append(file)
    found = False
    for files in files_by_rank.values():
        pending: list[tuple[int, bytes | FileRange]] = []
        steps: dict[str, int] = {}
        for event, data, place in _events(files):
            session = event.session_log if event.HasField("session_log") else None
            if session is not None and session.status == SESSION_CHECKPOINT and session.checkpoint_path == checkpoint:
                found = True
                last_steps |= {tag: max(last, last_steps.get(tag, last)) for tag, last in steps.items()}
                yield from (event_data for _, event_data in pending)
                break
            if session is not None and session.status == SESSION_START:
                pending = [(at_step, event_data) for at_step, event_data in pending if at_step < event.step]
                steps = {tag: min(last, event.step - 1) for tag, last in steps.items()}
                timelines.restart(event.step)
                continue
            timelines.add(event, place)
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    steps[value.tag] = max(event.step, steps.get(value.tag, event.step))
            if session is None and event.step >= step and event.WhichOneof("what") == "summary":
                pending.append((event.step, data))
    if not found:
        raise DataError(f"the event files in {str(path)!r} do not contain the checkpoint {checkpoint!r}")


def _events(files: list[Path]) -> Iterator[tuple[Any, bytes | FileRange, FileRange]]:
    """Yield the events of the files that can be decoded, the bytes or the place of each, and its place."""
    for file in files:
        reader = FrameReader(file)
        for data in reader.frames():
            event = parse_event(data)
            if event is None:
                continue
            place = FileRange(file, reader.offset - CHECKSUM.size - len(data), len(data))
            yield event, place if len(data) > LARGE_EVENT_BYTES else data, place
            del event, data


def _session_start(step: int) -> bytes:
    from monitor.events import summaries

    return bytes(summaries.restart(step, time.time()).SerializeToString())


def _session_end(end: float, *, succeeded: bool) -> bytes:
    from monitor.events import summaries

    value = summaries.session_end(succeeded=succeeded, end=end)
    return bytes(summaries.event([value], 0, end).SerializeToString())


def _write_file(path: Path, events: list[bytes], repeated: Sequence[bytes | FileRange] = ()) -> None:
    """Write events into a new event file, the last ones from memory or from other files."""
    file = EventFileWriter(path)
    for data in (*events, *repeated):
        if isinstance(data, FileRange):
            with open_regular(data.path) as source:
                source.seek(data.offset)
                file.add_bytes(source.read(data.length))
            file.flush()
        else:
            file.add_bytes(data)
    file.flush()
    file.close()


def _drop_session_end(file: Path) -> None:
    """Cut the run's end off its event file: TensorBoard keeps the first end that it reads."""
    reader, start, last_start, last = FrameReader(file), 0, 0, b""
    for data in reader.frames():
        last_start, start, last = start, reader.offset, data
    if b"_hparams_/session_end_info" in last:
        os.truncate(file, last_start)
