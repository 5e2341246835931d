"""What a report tells about one run besides its curves: how it ran, notes, config, alerts, and changes of the code."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from monitor.comparison.event_data import read_others
from monitor.machine.files import open_regular
from monitor.records import Text
from monitor.rules.alerts import ALERT_TAG
from monitor.runs.editing import NOTES_TAG, TAGS_TAG
from monitor.runs.listing import RunInfo, load
from monitor.runs.processes.command_line import typed_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.comparison.compare import ComparedRun
    from monitor.comparison.event_data import OnError

DIFF_FILE = "diff.patch"
MAX_DIFF_BYTES = 100_000
MAX_NOTES = 20  # tags of texts
MAX_NOTE_CHARS = 5000
MAX_ALERTS = 20
MAX_CONFIG = 500
OWN_TEXTS = ("config", ALERT_TAG)  # that the report shows in another form
LABELS_SUFFIX = "/labels"  # of the texts that come with predictions


def run_details(run: ComparedRun, on_error: OnError = None) -> dict[str, Any]:
    """Return what the template shows of a run. Blocks while it reads; raises `OSError` unless `on_error` is given."""
    info = load(run.path, run.name)
    config = run.config or info.config
    return {
        "name": run.name,
        "facts": list(_facts(info, run)),
        "alerts": [str(alert.get("message") or alert.get("rule") or alert) for alert in _alerts(info)],
        "notes": _notes(info, run.path, on_error),
        "config": list(config.items())[:MAX_CONFIG],
        "diff": _diff(run.path / DIFF_FILE),
        "diff_name": DIFF_FILE,
    }


def _facts(info: RunInfo, run: ComparedRun) -> Iterator[tuple[str, Any]]:
    """Yield name and value of what `run.json` says about the run as a whole."""
    fields = info.fields
    git = fields.get("git") or {}
    versions = fields.get("versions") or {}
    tags = fields.get("tags")
    facts = {
        "status": run.status or info.status_text,
        "problem": info.problem,
        "tags": ", ".join(map(str, tags)) if isinstance(tags, list) else None,
        "started": fields.get("start"),
        "duration": _duration(info.duration),
        "command": shlex.join(typed_command(fields.get("command") or ())),
        "commit": f"{git.get('revision')}{' with changes' if git.get('changed') else ''}" if git else None,
        "host": fields.get("host"),
        "seed": fields.get("seed"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    for name, value in facts.items():
        if value not in (None, ""):
            yield name, value


def _alerts(info: RunInfo) -> list[dict[str, Any]]:
    return list(info.fields.get("alerts") or [])[:MAX_ALERTS]


def _notes(info: RunInfo, path: Path, on_error: OnError) -> list[tuple[str, str]]:
    """Return the notes of the run: those in `run.json`, and the last text of each tag that was logged."""
    notes: dict[str, str] = {}
    if of_run := info.fields.get("notes"):
        notes[NOTES_TAG] = "\n".join(map(_note, of_run)) if isinstance(of_run, list) else str(of_run)
    for records in read_others(path, frozenset({Text}), on_error):
        for record in records:
            if not isinstance(record, Text) or record.tag in OWN_TEXTS or record.tag.endswith(LABELS_SUFFIX):
                continue
            if (record.tag == NOTES_TAG and of_run) or record.tag == TAGS_TAG:  # copies for dashboards
                continue
            if record.tag in notes or len(notes) < MAX_NOTES:
                notes[record.tag] = f"step {record.step}\n{record.text[:MAX_NOTE_CHARS]}"
    return list(notes.items())


def _note(entry: Any) -> str:
    """Return a note of `monitor note` with its time; another one, such as a program's own, as it is."""
    if isinstance(entry, dict) and isinstance(entry.get("text"), str):
        return f"{str(entry.get('time') or '')[:16].replace('T', ' ')}  {entry['text']}".strip()
    return str(entry)


def _diff(file: Path) -> list[tuple[str, str]]:
    """Return the lines of a diff with what each is: added, removed, place, file, or nothing in particular."""
    try:
        with open_regular(file) as opened:
            content = opened.read(MAX_DIFF_BYTES + 1)
    except OSError:  # most runs have none
        return []
    lines = content[:MAX_DIFF_BYTES].decode("utf-8", "replace").splitlines()
    if len(content) > MAX_DIFF_BYTES:
        lines.append(f"… the rest is in {file.name}")
    return [(_kind(line), line) for line in lines]


def _kind(line: str) -> str:
    if line.startswith(("diff ", "+++", "---", "index ")):
        return "file"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "same")


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    hours, rest = divmod(int(seconds), 3600)
    return (
        f"{hours} h {rest // 60} min"
        if hours
        else f"{rest // 60} min {rest % 60} s"
        if rest >= 60
        else f"{seconds:.1f} s"
    )
