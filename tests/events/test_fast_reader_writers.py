"""The scalars of every writer are decoded thousands at a time, also while a file grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor import ScalarBlock
from monitor.events.framing import frame
from monitor.events.reading.pieces import Piece, PieceReader
from monitor.events.reading.reader import EventReader
from monitor.events.scalars.columns import OTHER, ColumnDecoder
from monitor.events.scalars.encoding import encode_scalars
from monitor.records import RECORD_TYPES, Scalar
from tests.support import foreign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
from tests.support.both_readers import at_once, one_by_one


def write_torch(folder: Path, *, new_style: bool) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(200):
            for tag in ("train/loss", "train/accuracy", "lr"):
                writer.add_scalar(tag, step / 7, step, new_style=new_style, double_precision=tag == "lr")


def write_tensorboardx(folder: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(200):
            for tag in ("train/loss", "train/accuracy"):
                writer.add_scalar(tag, step / 7, step, summary_description="what it is")


def write_tensorflow(folder: Path) -> None:
    events = [foreign.event(step, foreign.scalar(tag, step / 7)) for step in range(200) for tag in ("loss", "a", "b")]
    foreign.write(folder / "events.out.tfevents.1.v2", *events)


WRITERS: dict[str, Callable[[Path], None]] = {
    "torch": lambda folder: write_torch(folder, new_style=False),
    "torch, new style": lambda folder: write_torch(folder, new_style=True),
    "tensorboardX": write_tensorboardx,
    "tensorflow": write_tensorflow,
}


@pytest.mark.parametrize("name", WRITERS)
def test_scalars_of_every_writer_are_decoded_at_once(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    (path,) = tmp_path.glob("*tfevents*")
    decoder = ColumnDecoder()
    pieces = [piece for piece in PieceReader(path).pieces() if isinstance(piece, Piece)]
    which = np.concatenate([decoder.decode(piece).which for piece in pieces])
    assert (which == OTHER).sum() <= 20, "more than the version and a few events around changes of width"
    assert at_once(path, RECORD_TYPES) == one_by_one(path, RECORD_TYPES)
    assert len(one_by_one(path, RECORD_TYPES)[0]) == len(which) - 1


def test_tags_by_the_hundred_of_one_length(tmp_path: Path) -> None:
    events = [foreign.event(n, foreign.simple(f"layer{k:03}/weight", n + k)) for n in range(30) for k in range(150)]
    path = foreign.write(tmp_path / "tfevents", *events)
    (piece,) = PieceReader(path).pieces()
    assert isinstance(piece, Piece)
    columns = ColumnDecoder().decode(piece)
    assert len(columns.patterns) >= 150
    assert (columns.which == OTHER).sum() <= 151  # the version, and the first step, whose frames are shorter
    assert at_once(path, RECORD_TYPES) == one_by_one(path, RECORD_TYPES)


def test_events_of_a_thousand_tags(tmp_path: Path) -> None:
    tags = tuple(f"layer{n}/weight" for n in range(1000))
    times = 1.7e9 + np.arange(60, dtype=np.float64)
    block = ScalarBlock([tags], np.zeros(60, np.int32), np.arange(60), times, np.arange(60_000) / 7)
    path = tmp_path / "tfevents"
    path.write_bytes(encode_scalars(block))
    assert at_once(path, RECORD_TYPES) == one_by_one(path, RECORD_TYPES)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tfevents"
    data = b"".join(frame(foreign.event(n, foreign.simple("a", n)).SerializeToString()) for n in range(100))
    reader, found = EventReader(path), []
    for end in range(0, len(data) + 1, 37):
        path.write_bytes(data[:end])
        found += [record for records in reader.records() for record in records]
    path.write_bytes(data)
    found += [record for records in reader.records() for record in records]
    assert [record.step for record in found if isinstance(record, Scalar)] == list(range(100))
