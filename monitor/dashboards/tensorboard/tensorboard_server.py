"""Serve TensorBoard over a log directory, on the first free port."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import logging
import signal
import sys
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from monitor.dashboards.ownership.parent_watch import Pages, yield_to_training
from monitor.dashboards.tensorboard.data_server import send_without_delay
from monitor.dashboards.tensorboard.tensorboard_assets import pack_files_when_asked_for
from monitor.machine.network import free_port, local_opener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


MAX_POINTS = 2000  # of a curve of a view that TensorBoard keeps all of; a curve of an index has at most 1,280
VIEW_CHECK_S = 0.1  # between two looks for a signal while a view is made
LOST_RUN_CHECK_S = 30.0  # between two checks for runs whose process died

log = logging.getLogger("monitor")


class ServedView(Protocol):
    """A part of a log directory to serve in its place, which another process makes and keeps up to date.

    Attributes:
        folder: where it is, once it is made.
        chosen: the number of runs in it.
        found: the number of runs in the log directory.
    """

    folder: Path
    chosen: int
    found: int

    @property
    def is_alive(self) -> bool:
        """Whether it is kept up to date."""

    def wait(self, timeout: float) -> bool:
        """Block until it is made, or for so many seconds; tell whether it is made."""


class EndSignals:
    """Signals that end a server, to wait for."""

    def __init__(self, *numbers: signal.Signals) -> None:
        """Handle them from now on; not SIGHUP, if it is ignored, as under `nohup`."""
        self._came: SimpleQueue[int] = SimpleQueue()  # the lock of an event may be taken where a handler interrupts
        for number in numbers:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, _frame: self._came.put(number))

    def wait(self, seconds: float) -> bool:
        """Block for so long, or until one comes; tell whether one has come since the last call."""
        with contextlib.suppress(Empty):
            self._came.get(timeout=seconds)
            return True
        return False


def serve(
    host: str,
    port: int,
    logdir: Path,
    *,
    view: ServedView | None = None,
    pages: Pages | None = None,
    ready: Callable[[str], None],
) -> None:
    """Serve the runs under `logdir` until SIGINT, SIGTERM, or SIGHUP. Blocks.

    If `port` is taken, the next free one is used. `view` is served in the place of `logdir`, once it is made. `pages`
    is told of each request. `ready` is called with the address once the page answers. Raises `OSError` if the address
    cannot be bound.
    """
    end = EndSignals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with _no_garbage():
        _import_file_access()
        from tensorboard import program

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        show_settings_of_all_runs()
        pack_files_when_asked_for()
        board = program.TensorBoard(server_class=partial(_server, pages=pages or Pages()))
        free = free_port(host, port)
        folder, options = logdir, list[str]()
        if view is not None:
            while not view.wait(VIEW_CHECK_S):
                if end.wait(0):
                    return
            folder, options = view.folder, _view_options(view, logdir)
        address = ["--host", host, "--port", str(free)]
        board.configure(argv=["tensorboard", "--logdir", str(folder), *address, "--reload_multifile", "true", *options])
        _launch_quietly(board)
        send_without_delay()
    url = f"http://{f'[{host}]' if ':' in host else host}:{free}"
    _wait_for(url, 30)
    yield_to_training()  # not earlier: somebody waits for the start
    ready(url)
    from monitor.runs.resume import mark_lost_runs  # not earlier, for the same reason

    while True:
        mark_lost_runs(logdir)
        if end.wait(LOST_RUN_CHECK_S):
            return
        if view is not None and not view.is_alive:
            log.warning("the view of %s is not kept up to date anymore: its process was ended", logdir)
            view = None


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector off while the block makes what stays; searching that takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_file_access() -> None:
    """Import TensorBoard's access to files without that to stores, a quarter of its start: the runs are here."""
    unneeded = [name for name in ("boto3", "fsspec") if name not in sys.modules]
    nothing: Any = None  # cannot be imported
    sys.modules.update(dict.fromkeys(unneeded, nothing))
    try:
        with contextlib.suppress(ImportError):  # another TensorBoard
            importlib.import_module("tensorboard.compat.tensorflow_stub.io.gfile")
    finally:
        for name in unneeded:
            del sys.modules[name]


def _view_options(view: ServedView, logdir: Path) -> list[str]:
    title = f"{view.chosen:,} of {view.found:,} runs in {logdir.resolve().name} · TensorBoard"
    return ["--window_title", title, "--samples_per_plugin", f"scalars={MAX_POINTS}"]


def _server(app: Any, flags: Any, *, pages: Pages) -> Any:
    """Make TensorBoard's own server, which notes its requests."""
    from tensorboard import program

    def noting(environ: Any, start_response: Any) -> Any:
        pages.note()
        return app(environ, start_response)

    return program.WerkzeugServer(noting, flags)


def show_settings_of_all_runs() -> None:
    """Let HPARAMS have a column for each setting, also where one run declares the columns, as `add_hparams` does.

    TensorBoard takes the declaration of any one run for those of all, and the settings of the others vanish. Where runs
    without a declaration are among them, it now collects the columns from all runs, as it does without declarations.
    """
    from tensorboard.plugins.hparams import backend_context, metadata

    context = backend_context.Context
    find = getattr(context, "_find_experiment_tag", None)
    if find is None:  # another TensorBoard
        return

    def find_if_all_declare(self: Any, tags_by_run: Any, *arguments: Any, **options: Any) -> Any:
        for tags in tags_by_run.values():
            if metadata.SESSION_START_INFO_TAG in tags and metadata.EXPERIMENT_TAG not in tags:
                return None
        return find(self, tags_by_run, *arguments, **options)

    context._find_experiment_tag = find_if_all_declare  # noqa: SLF001 - there is no option for it


def _launch_quietly(board: Any) -> None:
    """Launch TensorBoard without its notices; what it writes about an error is shown."""
    notices = io.StringIO()
    try:
        with contextlib.redirect_stderr(notices):
            board.launch()
    except BaseException:
        sys.stderr.write(notices.getvalue())
        raise


def _wait_for(url: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            local_opener().open(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
