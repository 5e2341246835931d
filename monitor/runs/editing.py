"""Change runs that have ended: notes, tags, another name, and the trash. A run that is still running is refused."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.events.files import event_files, runs_under
from monitor.machine.files import atomic_write
from monitor.runs.listing import load, scan
from monitor.runs.run_file import RUN_FILE, read_run_file, timestamp
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOTES_TAG, TAGS_TAG = "run notes", "run tags"  # of the texts on dashboards; a script may log texts as "notes"
TRASH_SUFFIX = ".trash"
ORIGINS_FILE = "origins.json"  # in the trash: by the name of a run there, the one it had in the log directory
QUIET_S = 60.0  # a run of another program whose event files changed more recently may be running


def refuse_active(path: Path) -> None:
    """Raise `DataError` for a run that is running, or may be."""
    if (path / RUN_FILE).exists():
        info = load(path)
        if info.status is RunStatus.RUNNING:
            where = f"in process {info.fields.get('pid')} on {info.fields.get('host')}"
            raise DataError(f"the run {str(path)!r} is still running, {where}; wait until it has ended")
        return
    ages = [time.time() - file.stat().st_mtime for file in event_files(path)]
    if ages and min(ages) < QUIET_S:
        raise DataError(f"the run {str(path)!r} may still be running: its event files changed {min(ages):.0f} s ago")


def refuse_active_below(path: Path) -> None:
    """Raise `DataError` if a run, or one in its directory, is running, or may be."""
    others = [] if (path / RUN_FILE).exists() else runs_under(path).values()  # event files below a run are its own
    for nested in dict.fromkeys([path, *(run.path for run in scan(path)), *others]):
        refuse_active(nested)


def add_note(path: Path, text: str) -> None:
    """Add a note to `run.json` and to the event files. Raises `DataError`, `OSError`."""
    fields = _editable(path)
    notes = [*(fields.get("notes") or []), {"time": timestamp(time.time()), "text": text}]
    _write(path, {**fields, "notes": notes})
    _write_text(path, NOTES_TAG, text, len(notes) - 1)


def set_tags(path: Path, add: Sequence[str], remove: Sequence[str] = ()) -> list[str]:
    """Add and remove tags, and return those that the run has then. Raises `DataError`, `OSError`."""
    fields = _editable(path)
    before = list(fields.get("tags") or [])
    tags = [tag for tag in dict.fromkeys([*before, *add]) if tag not in remove]
    if tags != before:
        edits = int(fields.get("tag_edits") or 0)
        _write(path, {**fields, "tags": tags, "tag_edits": edits + 1})
        _write_text(path, TAGS_TAG, ", ".join(tags) or "none", edits)
    return tags


def rename(path: Path, name: str) -> Path:
    """Give a run's directory another name, and return its new path. Raises `DataError`, `OSError`."""
    refuse_active_below(path)
    target = path.with_name(name)
    if target.exists():
        raise DataError(f"there is a run {str(target)!r} already; choose another name")
    fields = _as_it_is(path) if (path / RUN_FILE).exists() else None
    path.rename(target)
    if fields is not None:
        _write(target, {**fields, "name": name})
    return target


def trash_of(logdir: Path) -> Path:
    """Return the folder beside a log directory that removed runs are moved to: TensorBoard must not find them."""
    resolved = logdir.resolve()
    return resolved.with_name(resolved.name + TRASH_SUFFIX)


def remove(path: Path, logdir: Path) -> Path:
    """Move a run to the trash of its log directory, and return where it is. Raises `DataError`, `OSError`."""
    refuse_active_below(path)
    name, trash = path.relative_to(logdir.resolve()), trash_of(logdir)
    target, number = trash / name, 1
    while target.exists():
        number += 1
        target = target.with_name(f"{name.name}-{number}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_origins(trash, _read_origins(trash) | {str(target.relative_to(trash)): str(name)})
    path.rename(target)
    return target


def restore(path: Path, logdir: Path) -> Path:
    """Move a run from the trash back to where it was, and return that place. Raises `DataError`, `OSError`."""
    trash = trash_of(logdir)
    name, origins = str(path.relative_to(trash)), _read_origins(trash)
    target = logdir.resolve() / origins.get(name, name)
    if target.exists():
        raise DataError(f"there is a run {str(target)!r} already; rename it first, with: monitor mv")
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    _write_origins(trash, {other: origin for other, origin in origins.items() if other != name})
    return target


def _read_origins(trash: Path) -> dict[str, str]:
    try:
        origins = json.loads((trash / ORIGINS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(origins, dict):
        return {}
    return {name: origin for name, origin in origins.items() if isinstance(origin, str) and (trash / name).exists()}


def _write_origins(trash: Path, origins: dict[str, str]) -> None:
    if origins:
        atomic_write(trash / ORIGINS_FILE, json.dumps(origins, indent=2) + "\n")
    else:
        (trash / ORIGINS_FILE).unlink(missing_ok=True)


def _editable(path: Path) -> dict[str, Any]:
    """Return the fields of a run that may be changed."""
    if not (path / RUN_FILE).exists():
        raise DataError(f"the run {str(path)!r} has no {RUN_FILE}: another program wrote it")
    refuse_active(path)
    return _as_it_is(path)


def _as_it_is(path: Path) -> dict[str, Any]:
    """Return the fields of a run that has ended; with its end if it was lost on another machine and never wrote one.

    Otherwise the time of the edited file would pass for a sign of life.
    """
    info = load(path)
    fields = read_run_file(path)
    if info.status is RunStatus.LOST and fields["status"] == RunStatus.RUNNING:
        fields |= {"status": RunStatus.LOST, "end": fields.get("heartbeat") or fields.get("start")}
    return fields


def _write(path: Path, fields: dict[str, Any]) -> None:
    atomic_write(path / RUN_FILE, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")


def _write_text(path: Path, tag: str, text: str, step: int) -> None:
    """Put a text into an event file of its own, if the run has any; `step` keeps the texts of a tag apart."""
    if not event_files(path):
        return
    from monitor.events import summaries
    from monitor.events.writer import EventFileWriter

    value = summaries.text(tag, summaries.preformatted(text))
    file = EventFileWriter(path)
    file.add_bytes(bytes(summaries.event([value], step, time.time()).SerializeToString()))
    file.flush()
    file.close()
