"""A live training monitor for PyTorch: one `Logger`, any number of sinks.

    from monitor import Logger

Importing this package is quick: every public name is imported when it is first used, and so are torch and the
dashboards' packages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor import testing as testing
    from monitor.comparison.comparison import Comparison as Comparison
    from monitor.comparison.comparison import compare as compare
    from monitor.comparison.stored_runs import StoredRun as StoredRun
    from monitor.comparison.stored_runs import read as read
    from monitor.errors import AlertError as AlertError
    from monitor.errors import BadRecord as BadRecord
    from monitor.errors import DataError as DataError
    from monitor.errors import FilterError as FilterError
    from monitor.errors import JobError as JobError
    from monitor.errors import MissingExtra as MissingExtra
    from monitor.errors import MonitorError as MonitorError
    from monitor.errors import SinkError as SinkError
    from monitor.errors import SlowDown as SlowDown
    from monitor.errors import SpecError as SpecError
    from monitor.integrations.writer.global_writer import GlobalSummaryWriter as GlobalSummaryWriter
    from monitor.integrations.writer.summary_writer import SummaryWriter as SummaryWriter
    from monitor.logger import Logger as Logger
    from monitor.records import RECORD_TYPES as RECORD_TYPES
    from monitor.records import Audio as Audio
    from monitor.records import Checkpoint as Checkpoint
    from monitor.records import Config as Config
    from monitor.records import ConfusionMatrix as ConfusionMatrix
    from monitor.records import Curve as Curve
    from monitor.records import Detections as Detections
    from monitor.records import Embedding as Embedding
    from monitor.records import Figure as Figure
    from monitor.records import Histogram as Histogram
    from monitor.records import Images as Images
    from monitor.records import Mesh as Mesh
    from monitor.records import PRCurve as PRCurve
    from monitor.records import Predictions as Predictions
    from monitor.records import Progress as Progress
    from monitor.records import Record as Record
    from monitor.records import Restart as Restart
    from monitor.records import Scalar as Scalar
    from monitor.records import Summary as Summary
    from monitor.records import Table as Table
    from monitor.records import Text as Text
    from monitor.records import Video as Video
    from monitor.rules.alerts import Rule as Rule
    from monitor.rules.alerts import StallRule as StallRule
    from monitor.runs.resume import reopen as reopen
    from monitor.runs.run import Run as Run
    from monitor.runs.status import RunStatus as RunStatus
    from monitor.scalar_block import ScalarBlock as ScalarBlock
    from monitor.sinks.base import DashboardSink as DashboardSink
    from monitor.sinks.base import Sink as Sink
    from monitor.sinks.memory import MemorySink as MemorySink
    from monitor.stats import SinkStats as SinkStats
    from monitor.stats import Stats as Stats
    from monitor.steering.controls import Controls as Controls

__version__ = "0.1.0"

__all__ = [
    "RECORD_TYPES",
    "AlertError",
    "Audio",
    "BadRecord",
    "Checkpoint",
    "Comparison",
    "Config",
    "ConfusionMatrix",
    "Controls",
    "Curve",
    "DashboardSink",
    "DataError",
    "Detections",
    "Embedding",
    "Figure",
    "FilterError",
    "GlobalSummaryWriter",
    "Histogram",
    "Images",
    "JobError",
    "Logger",
    "MemorySink",
    "Mesh",
    "MissingExtra",
    "MonitorError",
    "PRCurve",
    "Predictions",
    "Progress",
    "Record",
    "Restart",
    "Rule",
    "Run",
    "RunStatus",
    "Scalar",
    "ScalarBlock",
    "Sink",
    "SinkError",
    "SinkStats",
    "SlowDown",
    "SpecError",
    "StallRule",
    "Stats",
    "StoredRun",
    "Summary",
    "SummaryWriter",
    "Table",
    "Text",
    "Video",
    "__version__",
    "compare",
    "read",
    "reopen",
    "testing",
]

# Where the names come from; those that are not listed come from `monitor.records` or `monitor.errors`.
_MODULES = {
    "BadRecord": "monitor.errors",
    "Comparison": "monitor.comparison.comparison",
    "Controls": "monitor.steering.controls",
    "DashboardSink": "monitor.sinks.base",
    "GlobalSummaryWriter": "monitor.integrations.writer.global_writer",
    "Logger": "monitor.logger",
    "MemorySink": "monitor.sinks.memory",
    "MissingExtra": "monitor.errors",
    "Rule": "monitor.rules.alerts",
    "Run": "monitor.runs.run",
    "RunStatus": "monitor.runs.status",
    "ScalarBlock": "monitor.scalar_block",
    "Sink": "monitor.sinks.base",
    "SinkStats": "monitor.stats",
    "SlowDown": "monitor.errors",
    "StallRule": "monitor.rules.alerts",
    "SummaryWriter": "monitor.integrations.writer.summary_writer",
    "Stats": "monitor.stats",
    "StoredRun": "monitor.comparison.stored_runs",
    "compare": "monitor.comparison.comparison",
    "read": "monitor.comparison.stored_runs",
    "reopen": "monitor.runs.resume",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'monitor' has no attribute {name!r}")
    if name == "testing":
        return import_module("monitor.testing")
    is_error = name.endswith("Error")
    module = import_module(_MODULES.get(name, "monitor.errors" if is_error else "monitor.records"))
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
