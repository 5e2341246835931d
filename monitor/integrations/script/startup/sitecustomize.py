"""Runs at the start of every Python process under `monitor run`, which puts this folder on PYTHONPATH.

It replaces the summary writers, and then runs the `sitecustomize` that would have run without it. It must do no harm in
any interpreter: another version of Python, or one where this package is not installed.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes its time to import


def _replace_writers() -> None:
    from importlib.machinery import SourceFileLoader

    path = os.path.join(os.path.dirname(_HERE), "hook.py")  # noqa: PTH118, PTH120
    hook = type(sys)("_monitor_hook")
    hook.__file__ = path
    SourceFileLoader(hook.__name__, path).exec_module(hook)
    hook.install()


def _run_other_sitecustomize() -> None:
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.curdir) != _HERE]  # noqa: PTH100
    own = sys.modules.pop(__name__, None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if own is not None:
            sys.modules.setdefault(__name__, own)


if sys.version_info >= (3, 10) and "MONITOR_RUN_SESSION" in os.environ:
    _replace_writers()
_run_other_sitecustomize()
