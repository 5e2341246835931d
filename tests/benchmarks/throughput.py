"""How many scalars the TensorBoard sink takes on one core."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from monitor import Run, ScalarBlock
from monitor.sinks.tensorboard import TensorBoardSink
from tests.benchmarks.measure import Row, interleaved

TAGS = ("train/loss", "train/a", "train/b", "other/c")
STEPS, PEER_STEPS = 50_000, 5_000
BLOCK = 5_000  # steps of one block, which is flushed
MUST = 500_000


def rows() -> list[Row]:
    """Measure the sink beside tensorboardX: its `EventsWriter` with one event per scalar, and with one per step."""
    found = interleaved(
        {"ours": ours, "one": partial(peer, one_event_per_step=False), "step": partial(peer, one_event_per_step=True)},
        5,
    )
    pace = {name: 1 / seconds for name, seconds in found.items()}
    return [
        Row(
            "scalars per second that the TensorBoard sink writes and flushes on one core, in steps of four",
            f"≥ {MUST:,}",
            f"{pace['ours']:,.0f} (tensorboardX's `EventsWriter`: {pace['one']:,.0f} as `add_scalar` writes them, "
            f"{pace['step']:,.0f} with one event per step)",
            pace["ours"] >= MUST,
            {"ours": f"{found['ours'] * 1e6:.2f} µs", "tensorboardX": f"{found['one'] * 1e6:.2f} µs"},
        )
    ]


def ours() -> float:
    """Return the CPU seconds per scalar of the sink."""
    steps = np.arange(STEPS)
    values = np.random.default_rng(0).normal(size=STEPS * len(TAGS))
    whole = ScalarBlock([TAGS], np.zeros(STEPS, np.int32), steps, time.time() + steps / 1e5, values)
    with tempfile.TemporaryDirectory() as folder:
        sink = TensorBoardSink()
        sink.open(Run(Path(folder) / "run"))
        began = time.process_time()
        for start in range(0, STEPS, BLOCK):
            sink.write_scalars(whole.part(start, start + BLOCK))
            sink.flush()
        seconds = time.process_time() - began
        sink.close()
    return seconds / len(values)


def peer(*, one_event_per_step: bool) -> float:
    """Return the CPU seconds per scalar of tensorboardX's writer, called directly, without its queue."""
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import scalar

    values = np.random.default_rng(0).normal(size=(PEER_STEPS, len(TAGS))).tolist()
    with tempfile.TemporaryDirectory() as folder:
        writer = EventsWriter(f"{folder}/events")
        began = time.process_time()
        for step, row in enumerate(values):
            summaries: list[Any] = [scalar(tag, value) for tag, value in zip(TAGS, row)]
            if one_event_per_step:
                summaries = [Summary(value=[part for summary in summaries for part in summary.value])]
            for summary in summaries:
                writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.flush()
        seconds = time.process_time() - began
        writer.close()
    return seconds / (PEER_STEPS * len(TAGS))
