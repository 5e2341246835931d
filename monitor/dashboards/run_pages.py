"""Take changes of runs to their pages: those that are saved with a run, and those that a server shows now."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.dashboards.ownership.lease_files import logdir_of, served
from monitor.errors import MonitorError
from monitor.machine.files import atomic_write
from monitor.machine.network import fetch_json, visdom_port
from monitor.records import Text
from monitor.runs.run import Run
from monitor.sinks import registry
from monitor.sinks.base import DashboardSink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger("monitor")

SAVED_PAGES = "visdom"  # the folder of a run with them


def show_texts(path: Path, tag: str, texts: Sequence[str]) -> None:
    """Show texts on each page of a run. A page that cannot be changed costs a warning."""
    try:
        registry.load("visdom")
    except MonitorError:
        return
    records = [Text(tag, text, step, time.time()) for step, text in enumerate(texts)]
    saved = {file.stem: file for file in (path / SAVED_PAGES).glob("*.json")}
    servers = [(url, page_name(path, logdir), _pages(url)) for url, logdir in _servers()]
    for page in dict.fromkeys([*saved, *(page for _, page, _ in servers)]):
        urls = [url for url, own, pages in servers if page in pages and (page == own or page in saved)]
        for url in urls or (["http://127.0.0.1:1"] if page in saved else []):  # none is needed for a saved one
            _show(url, page, path, records, saved.get(page), is_live=bool(urls))


def _show(url: str, page: str, path: Path, records: list[Text], saved: Path | None, *, is_live: bool) -> None:
    sink = registry.make(f"visdom://{url.partition('://')[2]}/{page}")
    assert isinstance(sink, DashboardSink)
    try:
        sink.open(Run(path, is_written=False))
        sink.write(records)
        if is_live:
            sink.flush()
        if saved is not None:
            _merge(sink, saved)
    except (OSError, ValueError, LookupError) as error:
        log.warning("Visdom: the page %r is not changed: %s", page, error)
    finally:
        sink.close()


def _merge(sink: DashboardSink, saved: Path) -> None:
    """Put the windows of a sink among those of a saved page."""
    with tempfile.TemporaryDirectory() as folder:
        sink.save(Path(folder))
        (made,) = Path(folder).iterdir()
        windows = json.loads(made.read_text("utf-8"))["jsons"]
    content = json.loads(saved.read_text("utf-8"))
    content["jsons"] |= {
        name: {**window, "i": content["jsons"].get(name, {}).get("i", len(content["jsons"]))}
        for name, window in windows.items()
    }
    atomic_write(saved, json.dumps(content, ensure_ascii=False))


def rename_pages(old: Path, new: Path) -> None:
    """Give the pages of a run, which is at `new` now, its new name; a page that the user named keeps its name."""
    for logdir in old.parents:
        file = new / SAVED_PAGES / f"{page_name(old, logdir)}.json"
        if file.is_file():
            _rename_saved(file, file.with_name(f"{page_name(new, logdir)}.json"), old.name, new.name)
            break
    for url, found in _servers():
        before, after = page_name(old, found), page_name(new, found)
        if before in _pages(url) and after not in _pages(url):
            windows = fetch_json(f"{url}/win_data", json.dumps({"eid": before, "win": None}).encode())
            _post(url, "fork_env", prev_eid=before, eid=after)
            if isinstance(windows, dict):
                renamed = _renamed(windows, old.name, new.name)
                _post(url, "win_data", eid=after, win=None, data=json.dumps(renamed))
            _post(url, "delete_env", eid=before)


def _rename_saved(file: Path, target: Path, old: str, new: str) -> None:
    """Rename a saved page, and the windows in it. One that cannot be read is renamed as it is."""
    try:
        content = json.loads(file.read_text("utf-8"))
        content["jsons"] = _renamed(content["jsons"], old, new)
        atomic_write(file, json.dumps(content, ensure_ascii=False))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("Visdom: the windows in %s keep their names: %s", file, error)
    file.rename(target)


def _renamed(windows: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return windows by the ids that the sink of a renamed run gives them, so that it finds them."""
    start = f"{old} "
    ids = {name: f"{new} {name.removeprefix(start)}" if name.startswith(start) else name for name in windows}
    return {ids[name]: {**window, "id": ids[name]} for name, window in windows.items()}


def remove_pages(old: Path) -> None:
    """Take the page of a run that is gone from the servers; the one that is saved with the run stays there."""
    for url, logdir in _servers():
        name = page_name(old, logdir)
        if name in _pages(url):
            _post(url, "delete_env", eid=name)


def page_name(path: Path, logdir: Path | None = None) -> str:
    """Return what the page of a run is called on a server over `logdir`, unless the user named it."""
    try:
        sink = registry.make("visdom")
    except MonitorError:
        return path.name
    assert isinstance(sink, DashboardSink)
    sink.logdir = logdir
    return sink.page_url(Run(path, is_written=False)).rpartition("/")[2]


def _servers() -> Iterator[tuple[str, Path | None]]:
    """Yield the address of each Visdom server of this machine that runs use, and the folder whose runs it shows."""
    found = {facts["url"]: logdir_of(facts) for facts in served("Visdom")}
    default = f"http://127.0.0.1:{visdom_port()}"
    yield from {default: None, **found}.items()


def _pages(url: str) -> list[str]:
    """Return the names of the pages of a server."""
    pages = fetch_json(f"{url}/env_state", b"{}")
    return [str(page) for page in pages] if isinstance(pages, list) else []


def _post(url: str, action: str, **fields: Any) -> None:
    fetch_json(f"{url}/{action}", json.dumps(fields).encode())
