"""Events that are decoded thousands at a time are those that are decoded one by one, whatever a file holds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import ScalarBlock
from monitor.comparison.event_data import read_curves, read_points
from monitor.events.framing import frame
from monitor.events.reading.reader import read_history
from monitor.events.scalars.encoding import encode_scalars
from monitor.records import Scalar
from monitor.render.reduction.downsampling import DownsampledSeries
from tests.events.test_event_file_properties import damaged
from tests.support import foreign, hostile_events
from tests.support.both_readers import TAGS, check, files

fuzz = settings(
    max_examples=max(10, int(os.environ.get("MONITOR_FUZZ", "300")) // 6),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@fuzz
@given(files(), st.sampled_from([64, 1000, 2**20]))
def test_random_files(data: bytes, chunk: int) -> None:
    check(data, chunk)


@fuzz
@given(files().flatmap(lambda data: damaged([data])), st.sampled_from([500, 2**20]))
def test_damaged_and_torn_files(data: bytes, chunk: int) -> None:
    check(data, chunk)


@pytest.mark.parametrize(
    "name",
    ["no protobuf", "large steps", "odd times", pytest.param("long tags", marks=pytest.mark.slow), "tensor of 2^29"],
)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    hostile_events.FILES[name](tmp_path / "tfevents")
    check((tmp_path / "tfevents").read_bytes() * 20)


def test_every_byte_of_a_frame_is_checked() -> None:
    """A flipped bit anywhere costs what it costs when events are read one by one, and nothing else."""
    step = frame(foreign.event(300, foreign.simple("train/loss", 1.0)).SerializeToString())
    events = [foreign.event(200 + n, foreign.simple("train/loss", n)).SerializeToString() for n in range(40)]
    data = b"".join(map(frame, events))
    for at in range(20 * len(step), 21 * len(step)):
        damaged_data = bytearray(data)
        damaged_data[at] ^= 1 << at % 8
        check(bytes(damaged_data))


@fuzz
@given(files())
def test_curves_and_points_are_those_of_the_records(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a.tfevents").write_bytes(data)
        (Path(name) / "b.tfevents").write_bytes(data)
        records = [r for records in read_history(Path(name), kinds=frozenset({Scalar})) for r in records]
        tags = TAGS[:-1]  # a tensor of the last one counts as a text where tags are chosen
        curves, points = read_curves(Path(name), tags, max_buckets=16), read_points(Path(name), tags)
        for tag in tags:
            series, last = DownsampledSeries(16), dict[int, float]()
            for record in records:
                if isinstance(record, Scalar) and record.tag == tag:
                    series.add(record.step, record.value)
                    last[record.step] = record.value
            assert curves.series[tag].points() == series.points()
            assert repr(curves.series[tag].first_non_finite) == repr(series.first_non_finite)
            assert points[tag][0].tolist() == sorted(last)
            np.testing.assert_array_equal(points[tag][1], [last[step] for step in sorted(last)])


@pytest.mark.slow
def test_memory_is_bounded_by_what_is_asked_for(tmp_path: Path) -> None:
    """Curves of four tags out of a file of 33 MB take some megabytes, and so does one tag's last value."""
    steps = np.arange(180_000)
    tags = ("train/loss", "train/accuracy", "test/loss", "test/accuracy")
    block = ScalarBlock([tags], np.zeros(len(steps), np.int32), steps, 1.7e9 + steps / 1e3, np.sin(np.arange(720_000)))
    (tmp_path / "tfevents").write_bytes(encode_scalars(block))
    script = """
import re, sys
from pathlib import Path
from monitor.comparison.event_data import read_curves
def peak():
    return int(re.search(r"VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1]) / 1024
(Path(sys.argv[1]) / "small").mkdir()
with open(f"{sys.argv[1]}/tfevents", "rb") as file, open(f"{sys.argv[1]}/small/tfevents", "wb") as small:
    small.write(file.read(2**20))
read_curves(Path(sys.argv[1]) / "small", ["train/loss"])
before = peak()
curves = read_curves(Path(sys.argv[1]), sys.argv[2:])
print(min(series.count for series in curves.series.values()), peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *tags], capture_output=True, text=True, timeout=200, check=True
    )
    count, more = done.stdout.split()
    assert int(count) == 180_000
    assert float(more) < 25
