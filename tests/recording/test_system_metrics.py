"""System metrics: the machine's own, and those of GPUs through a module that stands in for NVML's package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from monitor.recording.system_metrics import SystemMetrics
from monitor.records import Scalar
from monitor.sinks.visdom.page_state import PageState
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path

# No GPU is needed: this is a small NVML with two GPUs, of which the second has no power meter and fails now and then.
NVML = """
class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(f"NVML error {value}")
        self.value = value

NVML_ERROR_NOT_SUPPORTED, NVML_TEMPERATURE_GPU = 3, 0
calls = []

class Values:
    def __init__(self, **values):
        self.__dict__ |= values

def nvmlInit():
    calls.append("init")
def nvmlShutdown():
    calls.append("shutdown")
def nvmlDeviceGetCount():
    return 2
def nvmlDeviceGetHandleByIndex(number):
    return ("gpu", number)
def nvmlDeviceGetUUID(gpu):
    return f"GPU-{gpu[1]}234abcd-e".encode()
def nvmlDeviceGetUtilizationRates(gpu):
    return Values(gpu=40 + gpu[1], memory=3)
def nvmlDeviceGetMemoryInfo(gpu):
    if gpu[1] == 1 and calls.count("read") >= 1:
        raise NVMLError(15)
    return Values(used=2 * 2**30, total=8 * 2**30)
def nvmlDeviceGetTemperature(gpu, sensor):
    calls.append("read")
    return 60
def nvmlDeviceGetPowerUsage(gpu):
    calls.append(f"power {gpu[1]}")
    if gpu[1] == 1:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return 250_000
"""
SCRIPT = """
import json, logging, pathlib, sys
logging.basicConfig(stream=sys.stdout, format="warned: %(message)s")
from monitor.recording.system_metrics import SystemMetrics
from monitor.records import Scalar
from monitor.sinks.visdom.page_state import PageState
metrics = SystemMetrics(pathlib.Path.cwd())
for _ in range(3):
    values = metrics.read()
metrics.close()
print(json.dumps({tag: value for tag, value in values.items() if "gpu" in tag}))
print(json.dumps(getattr(sys.modules.get("pynvml"), "calls", [])))
"""


def read_gpus(folder: Path, module: str | None, **environment: str) -> tuple[list[str], dict[str, float], list[str]]:
    """Return the warnings, the last values, and the calls of NVML, in a process with `module` as its NVML."""
    if module is not None:
        (folder / "pynvml.py").write_text(module)
    variables = {**os.environ, "PYTHONPATH": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *warnings, values, calls = done.stdout.splitlines()
    return warnings, json.loads(values), json.loads(calls)


def test_the_gpus_of_a_machine(tmp_path: Path) -> None:
    warnings, values, calls = read_gpus(tmp_path, NVML)
    assert values == {
        "system/gpu_percent/0": 40.0,
        "system/gpu_percent/1": 41.0,
        "system/gpu_memory_gib/0": 2.0,  # the second fails by now, alone
        "system/gpu_temperature_c/0": 60.0,
        "system/gpu_temperature_c/1": 60.0,
        "system/gpu_power_w/0": 250.0,
    }
    assert warnings == []
    assert (calls[0], calls[-1]) == ("init", "shutdown")
    assert (calls.count("power 0"), calls.count("power 1")) == (4, 1), "what a GPU does not have is asked for once"


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [("1", "1"), ("1,0", "10"), ("GPU-1234abcd-e", "1"), ("GPU-02", "0"), ("", ""), ("0,9", "0")],
)
def test_only_the_gpus_that_the_process_may_use(tmp_path: Path, visible: str, numbers: str) -> None:
    _, values, _ = read_gpus(tmp_path, NVML, CUDA_VISIBLE_DEVICES=visible)
    assert {tag[-1] for tag in values} == set(numbers)


@pytest.mark.parametrize(
    "module",
    ["raise ImportError('no')", NVML.replace('calls.append("init")', "raise NVMLError(9)"), "x = 1 / 0"],
    ids=["not installed", "no driver", "broken"],
)
def test_without_nvml_nothing_is_said(tmp_path: Path, module: str) -> None:
    assert read_gpus(tmp_path, module)[:2] == ([], {})


def test_a_driver_that_goes_away_is_reported_once(tmp_path: Path) -> None:
    broken = NVML.replace("def nvmlDeviceGetCount", "def broken(*_):\n    raise NVMLError(15)\ndef nvmlDeviceGetCount")
    for name in ("UtilizationRates", "MemoryInfo", "Temperature", "PowerUsage"):
        broken += f"\nnvmlDeviceGet{name} = broken\n"
    assert read_gpus(tmp_path, broken)[:2] == (["warned: system metrics: GPU cannot be read: NVML error 15"], {})


def test_what_the_machine_does(tmp_path: Path) -> None:
    metrics = SystemMetrics(tmp_path)
    spun = time.process_time()
    while time.process_time() - spun < 0.1:
        pass
    values = metrics.read()
    metrics.close()
    names = ("cpu_percent/machine", "cpu_percent/process", "memory_gib/machine", "memory_gib/process",
             "disk_percent/used", "network_mib_per_s/received", "network_mib_per_s/sent")  # fmt: skip
    assert set(values) >= {f"system/{name}" for name in names}
    assert all(value >= 0 for value in values.values())
    assert 0 < values["system/cpu_percent/process"] <= 100.0
    assert 0 < values["system/cpu_percent/machine"] <= 100.0
    memory = psutil.virtual_memory()
    assert values["system/memory_gib/process"] < values["system/memory_gib/machine"] < memory.total / 2**30
    assert values["system/disk_percent/used"] == pytest.approx(psutil.disk_usage(str(tmp_path)).percent, abs=5)


def test_child_processes_count(tmp_path: Path) -> None:
    metrics = SystemMetrics(tmp_path)
    before = metrics.read()["system/memory_gib/process"]
    code = "import sys; block = bytearray(300 * 2**20); print('ready', flush=True); sys.stdin.read()"
    shell = f'{sys.executable} -c "{code}"; true'
    with subprocess.Popen(["sh", "-c", shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        after = metrics.read()
        child.stdin.close()
    metrics.close()
    assert after["system/memory_gib/process"] - before > 0.25, "also the child of a child"
    wait_until(lambda: metrics.read()["system/memory_gib/process"] - before < 0.25, 60, "the child's memory to go")


def test_a_sample_costs_little(tmp_path: Path) -> None:
    """At one sample every ten seconds, a thousandth of a core is 10 ms."""
    metrics = SystemMetrics(tmp_path)
    costs = []
    for _ in range(20):
        started = time.thread_time()
        metrics.read()
        costs.append(time.thread_time() - started)
    metrics.close()
    assert sorted(costs)[len(costs) // 2] < 0.01


def test_visdom_shows_them_together_behind_the_others_over_seconds() -> None:
    state = PageState()
    tags = (
        "system/cpu_percent/machine",
        "train/loss",
        "system/gpu_power_w/0",
        "norm/weights",
        "system/cpu_percent/process",
    )
    state.add([Scalar(tag, 1.0, step, 0.0) for tag in tags for step in (0, 10)])
    keys = state.keys()
    groups = [key.removeprefix("curves ") for key in keys]
    assert groups == ["loss", "norm", "system/cpu_percent", "system/gpu_power_w"]
    axes = [state.message(f"curves {group}")["layout"]["xaxis"]["title"]["text"] for group in groups]
    assert axes == ["step", "step", "seconds", "seconds"]
