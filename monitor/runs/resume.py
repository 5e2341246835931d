"""Go on with a run that ended, in the same curves; and close the books of one that was lost.

Nothing that was logged is taken out of the event files. A new file begins with a session start, at which TensorBoard
drops what has the checkpoint's step or a higher one; of that, it then repeats what was logged before the checkpoint.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.runs import process
from monitor.errors import DataError
from monitor.events.framing import FrameReader, event_files
from monitor.runs.run import RUN_FILE, Run, read_run_file, timestamp
from monitor.runs.listing import load, scan, seconds
from monitor.events.writer import EventFileWriter

log = logging.getLogger("monitor")

SESSION_END_TAG = b"_hparams_/session_end_info"
SESSION_START, SESSION_CHECKPOINT = 1, 3  # of a session log's status


def reopen(directory: str | os.PathLike[str], checkpoint: str, step: int) -> Run:
    """Return the run in `directory`, ready to go on from the checkpoint `checkpoint`, which was taken at `step`.

    `checkpoint` is the name that `Logger.checkpoint` was called with; with an empty one, and 0, the run starts again.
    Raises `DataError` where there is no such run or checkpoint, or the run still goes on. Blocks while it reads.
    """
    path = Path(directory)
    refuse_running(path)
    kept = list(_logged_before(path, checkpoint, step)) if checkpoint else []
    known = read_run_file(path)
    spent = load(path).duration or 0.0
    for file in event_files(path):
        _drop_end(file)
    _write(path, _started_again(step, kept))
    life = {"status": load(path).status, "error": known.get("error"), "until": known.get("end"), "step": step}
    lives = [*(known.get("lives") or []), life]
    run = Run.reopen(path, resumed=timestamp(time.time()), spent=spent, lives=lives)
    run.is_resumed = bool(checkpoint)
    return run


def refuse_running(path: Path) -> None:
    """Raise `DataError` where the run in `path` still goes on, or is none."""
    fields = read_run_file(path)
    if load(path).status == "running" and not _is_ours(fields):
        raise DataError(f"the run {str(path)!r} still goes on, in process {fields.get('pid')} on {fields.get('host')}")


def mark_lost_runs(logdir: Path) -> None:
    """Write down the end of runs under `logdir` whose process on this machine is gone, for TensorBoard's HPARAMS.

    It would show them as running for ever. What cannot be written is left.
    """
    for run in scan(logdir):
        if run.fields.get("status") != "running" or process.is_alive(run.fields.get("process")) is not False:
            continue
        try:
            end = seconds(run.fields.get("heartbeat")) or time.time()
            if event_files(run.path):
                _write(run.path, [_session_end(end)])
            scratch = run.path / f".{RUN_FILE}.{os.getpid()}"
            fields = {**run.fields, "status": "lost", "end": timestamp(end)}
            scratch.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", "utf-8")
            scratch.replace(run.path / RUN_FILE)
        except OSError as error:
            log.debug("%s: its end could not be written: %s", run.path, error)


def _logged_before(path: Path, checkpoint: str, step: int) -> Iterator[bytes]:
    """Yield the events of `step` or above that were logged before the checkpoint, and stand."""
    streams: dict[str, list[Path]] = {}
    for file in event_files(path):
        rank = file.name.rpartition(".rank")
        streams.setdefault(rank[2] if rank[1] else "", []).append(file)
    found = False
    for files in streams.values():
        tail: list[tuple[int, bytes]] = []
        for event, data in _events(files):
            session = event.session_log if event.HasField("session_log") else None
            if session is not None and session.status == SESSION_CHECKPOINT and session.checkpoint_path == checkpoint:
                found = True
                yield from (data for _, data in tail)
                break
            if session is not None and session.status == SESSION_START:
                tail = [(at, data) for at, data in tail if at < event.step]
            elif session is None and event.step >= step and event.WhichOneof("what") == "summary":
                tail.append((event.step, data))
    if not found:
        raise DataError(f"the event files in {str(path)!r} do not know of the checkpoint {checkpoint!r}")


def _events(files: list[Path]) -> Iterator[tuple[Any, bytes]]:
    from tensorboard.compat.proto.event_pb2 import Event

    for file in files:
        for data in FrameReader(file).frames():
            yield Event.FromString(data), data


def _started_again(step: int, kept: list[bytes]) -> list[bytes]:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    start = Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START))
    return [start.SerializeToString(), *kept]


def _session_end(when: float) -> bytes:
    """Make the event that says that a run failed."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    end = HParamsPluginData(session_end_info=SessionEndInfo(status="STATUS_FAILURE", end_time_secs=when))
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=end.SerializeToString())
    value = Summary.Value(tag=SESSION_END_TAG.decode(), metadata=SummaryMetadata(plugin_data=plugin))
    return bytes(Event(wall_time=when, summary=Summary(value=[value])).SerializeToString())


def _write(path: Path, events: list[bytes]) -> None:
    file = EventFileWriter(path)
    for data in events:
        file.add_bytes(data)
    file.flush()
    file.close()


def _drop_end(file: Path) -> None:
    """Cut the note of a run's end off its event file: TensorBoard keeps to the first one that it reads."""
    tail, before, last = FrameReader(file), 0, b""
    at = 0
    for data in tail.frames():
        before, at, last = at, tail.offset, data
    if SESSION_END_TAG in last:
        os.truncate(file, before)


def _is_ours(fields: dict[str, Any]) -> bool:
    """Tell whether a run belongs to this very process, which may end it and go on with it."""
    return fields.get("process") == process.identity()
