"""What `monitor run` does inside the processes of a script: it changes what the script imports to log with.

`startup/sitecustomize.py` runs this file at the start of each Python process, before anything else is imported, so it
uses the standard library alone. It imports this package only when a script imports a summary writer, or a framework
that accepts a logger by its name.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False  # `typing` takes its time to import
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# As in `monitor.runs.scripts.script_session`.
FOLDER_VARIABLE, SUPERVISOR_VARIABLE = "MONITOR_RUN_SESSION", "MONITOR_RUN_SUPERVISOR"
WRITERS = ("monitor.integrations.writer.flavors", "install", "the script keeps its own SummaryWriter")
# What is called once one of these modules is executed, and what it means if that is not possible. The packages import
# their writers from the first three.
AFTER = {
    "tensorboardX.writer": WRITERS,
    "tensorboardX.global_writer": WRITERS,
    "torch.utils.tensorboard.writer": WRITERS,
    "transformers.integrations.integration_utils": (
        "monitor.integrations.transformers",
        "register",
        "report_to does not take 'monitor'",
    ),
    "accelerate.tracking": ("monitor.integrations.accelerate", "register", "log_with does not take 'monitor'"),
    "ray.train.v2.api.data_parallel_trainer": (
        "monitor.integrations.ray",
        "register",
        "trainings of Ray Train are not watched",
    ),
    "ray.tune.logger.tensorboardx": (
        "monitor.integrations.ray",
        "tell_endings",
        "the runs of Ray Tune's trials are finished however they end",
    ),
}
PR_SET_PDEATHSIG = 1
MAX_ERROR_CHARS = 2000


def install() -> None:
    """Watch for the imports in `AFTER` from now on; tell `monitor run` how this process ends."""
    sys.meta_path.insert(0, Finder())
    folder, supervisor = os.environ.get(FOLDER_VARIABLE), os.environ.get(SUPERVISOR_VARIABLE)
    if folder:
        atexit.register(_report_ending, folder)  # the first to be registered runs last
    if supervisor == str(os.getppid()):
        _end_with(int(supervisor))


class Finder:
    """Finds the modules in `AFTER` like the other finders, and makes the call that belongs to them after them."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a module in `AFTER`, None for any other module."""
        if name not in AFTER:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None else None
            if spec is not None:
                _call_after_execution(spec)
                return spec
        return None


def _call_after_execution(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _call(*AFTER[spec.name])

    loader.exec_module = exec_module


def _call(module: str, function: str, consequence: str) -> None:
    """Call a function of this package; if that is not possible here, say so in a line on stderr."""
    from importlib import import_module

    try:
        _check_package()
        getattr(import_module(module), function)()
    except (ImportError, AttributeError) as error:  # another environment, or a release that has other names
        print(f"monitor run: {consequence}: {error}", file=sys.stderr)


def _check_package() -> None:
    """Raise `ImportError` unless `monitor` is the package that this file belongs to."""
    from importlib.util import find_spec

    spec = find_spec("monitor")
    if spec is None:  # another environment, which need not have what this package depends on
        raise ImportError(f"training-monitor is not installed in {sys.prefix}")
    origin = spec.origin or ""
    if os.path.realpath(origin) != os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "__init__.py")):  # noqa: PTH118, PTH120
        raise ImportError(f"it has a module 'monitor' of its own, {origin}")


def _report_ending(folder: str) -> None:
    """Write which exception ends this process, if one does; Python has printed it by now."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if error is None:
        return
    import json

    try:
        text = str(error)
    except Exception:
        text = ""
    ending = {"error": " ".join(f"{type(error).__name__}: {text}".split()).removesuffix(":")[:MAX_ERROR_CHARS]}
    try:
        with open(f"{folder}/ending-{os.getpid()}", "w", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            json.dump(ending, file)
    except OSError:
        pass  # `monitor run` is gone


def _end_with(parent: int) -> None:
    """End this process when `monitor run` is killed: nobody else would, and it would go on without a record."""
    try:
        import ctypes
        import signal
    except ImportError:
        return
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
