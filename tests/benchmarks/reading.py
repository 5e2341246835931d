"""How long event files take to be read: ours beside TensorBoard's reader, and beside reading the bytes alone."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from crc32c import crc32c

from monitor import ScalarBlock, read
from monitor.comparison.event_data import read_curves
from monitor.events.framing import CHECKSUM, HEADER, frame, masked_crc
from monitor.events.index.index_update import update_index
from monitor.events.index.run_index import INDEX_FILE
from monitor.events.scalars.encoding import encode_scalars
from tests.benchmarks.measure import Row, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

TAGS = ("train/loss", "train/accuracy", "test/loss", "test/accuracy")
STEPS = 180_000  # of four tags
PEER_STEPS = 20_000  # of each tag, by another writer, one event each
PEER_FASTER, SLOWER_THAN_BYTES = 20, 10
REPEATS = 5  # of ours; TensorBoard's reader, which takes half a minute, is run once between them


def rows() -> list[Row]:
    """Measure the readers side by side."""
    with tempfile.TemporaryDirectory() as name:
        ours, torchs = Path(name) / "ours", Path(name) / "torch"
        ours.mkdir()
        (ours / "events.out.tfevents.1").write_bytes(event_bytes(STEPS))
        write_torch(torchs)
        return [
            reading(f"{STEPS:,} steps of four tags as our sink writes them", ours),
            reading(f"{4 * PEER_STEPS:,} scalars as PyTorch's `SummaryWriter` writes them", torchs),
            index(ours),
        ]


def event_bytes(steps: int) -> bytes:
    """Return the event file of a run with four tags."""
    at = np.arange(steps)
    values = np.random.default_rng(0).normal(size=steps * len(TAGS))
    return encode_scalars(ScalarBlock([TAGS], np.zeros(steps, np.int32), at, 1.7e9 + at / 100, values))


def write_torch(folder: Path) -> None:
    """Write what `add_scalar` of PyTorch's writer would, through its own functions, without its queue."""
    from tensorboard.compat.proto.event_pb2 import Event
    from torch.utils.tensorboard import summary

    scalar: Callable[..., Any] = summary.scalar
    folder.mkdir()
    values = np.random.default_rng(0).normal(size=(PEER_STEPS, len(TAGS))).tolist()
    with (folder / "events.out.tfevents.1.torch").open("wb") as out:
        out.write(frame(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString()))
        for step, row in enumerate(values):
            for tag, value in zip(TAGS, row):
                event = Event(wall_time=1.7e9 + step, step=step, summary=scalar(tag, value))
                out.write(frame(event.SerializeToString()))


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def reading(what: str, run: Path) -> Row:
    """Read all scalars of a run."""
    (file,) = run.glob("*tfevents*")

    def ours() -> None:
        (found,) = read(run)
        assert all(len(points.steps) for points in found.all_scalars(TAGS).values())

    ways: dict[str, Callable[[], float]] = {
        "ours": partial(seconds, ours),
        "bytes": partial(seconds, partial(check_whole, file)),
        "frames": partial(seconds, partial(check_frames, file)),
    }
    for way in ("ours", "bytes"):
        ways[way]()
    before = interleaved(ways, REPEATS)
    peer = seconds(partial(accumulate, run))
    after = interleaved(ways, REPEATS)
    found = {way: (before[way] + after[way]) / 2 for way in ways}
    faster, slower = peer / found["ours"], found["ours"] / found["frames"]
    return Row(
        f"reading {what} ({file.stat().st_size / 1e6:.0f} MB), versus TensorBoard's `EventAccumulator`; versus reading "
        "the bytes and checking the CRC of each frame, in a loop",
        f"≥ {PEER_FASTER} × faster; ≤ {SLOWER_THAN_BYTES} × the time",
        f"{faster:.0f} × ({found['ours'] * 1e3:.0f} ms versus {peer:.2f} s); {slower:.2f} × (of "
        f"{found['frames'] * 1e3:.0f} ms; one CRC over all bytes takes {found['bytes'] * 1e3:.1f} ms)",
        faster >= PEER_FASTER and slower <= SLOWER_THAN_BYTES,
    )


def accumulate(run: Path) -> None:
    """Read the scalars as TensorBoard does, with nothing sampled away."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run), size_guidance={"scalars": 0})
    found.Reload()
    assert all(found.Scalars(tag) for tag in TAGS)


def check_whole(file: Path) -> None:
    """Read the bytes, and their CRC: the least that a reader can do."""
    checksum = 0
    with file.open("rb") as opened:
        while piece := opened.read(2**20):
            checksum = crc32c(piece, checksum)


def check_frames(file: Path) -> None:
    """Read the bytes, and check the CRC of each frame in a loop."""
    data, at = file.read_bytes(), 0
    while at < len(data):
        length, _ = HEADER.unpack_from(data, at)
        end = at + HEADER.size + length
        assert masked_crc(crc32c(data[at + HEADER.size : end])) == CHECKSUM.unpack_from(data, end)[0]
        at = end + CHECKSUM.size


def index(run: Path) -> Row:
    """Read the curves of a run for a page, with an index and without."""
    (file,) = run.glob("*tfevents*")
    without = seconds(lambda: read_curves(run, TAGS))
    making = seconds(lambda: update_index(run))
    found = interleaved({"with": partial(seconds, lambda: read_curves(run, TAGS))}, 5)["with"]
    size, whole = (run / INDEX_FILE).stat().st_size, file.stat().st_size
    room = max(2**16, whole // 100)
    return Row(
        f"four curves of {STEPS:,} steps for a page, with an index versus without; bytes of the index",
        f"reported; ≤ {room / 1e3:.0f} kB (1% of the event file, or 64 kB)",
        f"{found * 1e3:.1f} ms versus {without * 1e3:.0f} ms; {size / 1e3:.0f} kB ({size / whole:.2%}), made in "
        f"{making * 1e3:.0f} ms",
        size <= room,
    )
