"""The packages are in order: imports point down, files stay small, public names are pinned."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import monitor

ROOT = Path(__file__).parents[1]
# From the top down: a module imports from its own layer and from those below it.
LAYERS = (
    {"runners.course"},
    {"runners.mlp", "runners.logistic", "runners.linear", "runners.logistic_report", "runners.heart_report"},
    {"runners.launch"},
    {"runners.training"},
    {"runners.data"},
    {"runners.choices", "runners.text_table"},
    {"monitor.cli", "monitor.__main__"},
    {"monitor.commands"},
    {"monitor.integrations"},
    {"monitor.sweeps"},
    {"monitor.logger", "monitor.testing"},
    {"monitor.recording"},
    {"monitor.delivery"},
    {"monitor.comparison"},
    {"monitor.dashboards"},
    {"monitor.sinks"},
    {"monitor.capture"},
    {"monitor.steering"},
    {"monitor.runs"},
    {"monitor.remote"},
    {"monitor.events", "monitor.imports"},
    {"monitor.render"},
    {
        f"monitor.{name}"
        for name in (
            "records",
            "media_records",
            "scalar_block",
            "errors",
            "metrics",
            "stats",
            "rules",
            "machine",
            "suggestions",
            "prediction_timeline",
            "thinning",
        )
    },
)
NAMESPACES = {"monitor": "monitor.logger", "runners": "runners.mlp"}  # what `from monitor import …` counts as


@cache
def modules() -> dict[str, Path]:
    files = [path for package in ("monitor", "runners") for path in (ROOT / package).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    return dict(zip(names, files))


def layer(module: str) -> int:
    module = NAMESPACES.get(module, module)
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    raise AssertionError(f"{module} is on no layer")


@cache
def imports(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, wherever in the file."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module if (name := f"{node.module}.{a.name}") not in known else name for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("monitor", "runners")}


def test_every_package_is_on_a_layer() -> None:
    assert [layer(module) for module in modules()]


def test_imports_point_down() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in modules().items()
        if module not in NAMESPACES
        for name in imports(path)
        if layer(name) < layer(module)
    ]
    assert wrong == []


def test_an_import_that_points_up_is_found(tmp_path: Path) -> None:
    file = tmp_path / "reader.py"
    file.write_text("def read():\n    from monitor.sinks import registry\n")
    assert imports(file) == {"monitor.sinks.registry"}
    assert layer("monitor.sinks.registry") < layer("monitor.events.reading.reader")


def test_there_are_no_circles() -> None:
    graph = {module: imports(path) - {module} for module, path in modules().items() if module not in NAMESPACES}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_files_stay_small() -> None:
    assert [
        (name, count) for name, path in modules().items() if (count := len(path.read_text().splitlines())) > 300
    ] == []


def test_the_public_names() -> None:
    assert sorted(monitor.__all__) == [
        "AlertError", "Audio", "BadRecord", "Checkpoint", "Comparison", "Config", "ConfusionMatrix", "Controls",
        "Curve", "DashboardSink", "DataError", "Detections", "Embedding", "Figure", "FilterError",
        "GlobalSummaryWriter", "Histogram", "Images", "JobError", "Logger", "MemorySink", "Mesh", "MissingExtra",
        "MonitorError", "PRCurve", "Predictions", "Progress", "RECORD_TYPES", "Record", "Restart", "Rule", "Run",
        "RunStatus", "Scalar", "ScalarBlock", "Sink", "SinkError", "SinkStats", "SlowDown", "SpecError", "StallRule",
        "Stats", "StoredRun", "Summary", "SummaryWriter", "Table", "Text", "Video", "__version__", "compare", "read",
        "reopen", "testing",
    ]  # fmt: skip
    assert all(hasattr(monitor, name) for name in monitor.__all__)
    assert set(monitor.__all__) <= set(dir(monitor))
    with pytest.raises(AttributeError, match="module 'monitor' has no attribute 'Loger'"):
        monitor.Loger  # noqa: B018 - reading it is the test
    assert "version = attr: monitor.__version__\n" in (ROOT / "setup.cfg").read_text()
    assert f"## {monitor.__version__}\n" in (ROOT / "docs" / "changelog.md").read_text()


# What each command or class may load of what is heavy; nothing here may load torch.
LIGHT = {
    "from monitor import Logger": (),
    "import monitor.commands.listing.runs, monitor.commands.comparing.compare, monitor.commands.serving.serve": (),
    "from monitor.dashboards.tensorboard import tensorboard_server; from monitor.events import writer": (),
    "import monitor.dashboards.visdom.server": ("PIL", "numpy", "visdom"),
    "from monitor import reopen; from monitor.events.reading import reader; from monitor.events import summaries": (
        "tensorboard",
    ),
    "from monitor.sinks.tensorboard import TensorBoardSink": ("PIL", "numpy", "tensorboard"),
}
HEAVY = ("PIL", "matplotlib", "numpy", "rich", "tensorboard", "tensorboardX", "torch", "visdom")


@pytest.mark.parametrize("code", LIGHT)
def test_what_is_not_needed_is_not_loaded(code: str) -> None:
    script = f"import sys\n{code}\nprint(*sorted(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=True)
    assert tuple(done.stdout.split()) == LIGHT[code]


def test_a_whole_run_without_torch(tmp_path: Path) -> None:
    """A program that does not use torch does not get it, through a run with scalars, texts, pictures, and back."""
    script = """
import sys, numpy
from monitor import Logger
from monitor.events.reading.reader import read_history
with Logger(sys.argv[1], ["tensorboard"], {"lr": 0.1}) as log:
    log.scalar("a", 1.0, 0)
    log.text("note", "text", 0)
    log.images("picture", numpy.zeros((2, 1, 8, 8), "uint8"), 0)
print(sum(len(records) for records in read_history(log.run.path)), "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout.split() == ["4", "False"]


def test_importing_the_package_is_light() -> None:
    heavy = ("torch", "numpy", "visdom", "tensorboardX", "tensorboard", "matplotlib", "rich", "click", "requests")
    script = f"import sys, monitor; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.strip() == "[]"
