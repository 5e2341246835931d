"""The framing of W&B's logs: whole, torn, growing, and damaged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.imports.block_log import BlockLogReader
from tests.support import wandb_logs
from tests.support.wandb_logs import BLOCK, FIRST, FULL, LAST, MIDDLE, chunk, framed

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (0, 1, 100, BLOCK - 7 - 7, BLOCK - 14 - 6, BLOCK, 3 * BLOCK, 2**20, 2**21 + 5)


def records_of(sizes: tuple[int, ...] = SIZES) -> list[bytes]:
    return [bytes([number]) * size for number, size in enumerate(sizes)]


def read(path: Path) -> tuple[list[bytes], BlockLogReader]:
    reader = BlockLogReader(path)
    return list(reader.records()), reader


def test_records_of_all_sizes(tmp_path: Path) -> None:
    path = wandb_logs.write(tmp_path / "log", *records_of())
    found, reader = read(path)
    assert found == records_of()
    assert (reader.damaged, reader.torn, reader.refused) == (0, 0, "")


@settings(max_examples=int(os.environ.get("MONITOR_FUZZ", "60")), deadline=None)
@given(sizes=st.lists(st.integers(0, 70_000), max_size=8), cut=st.integers(0, 200_000))
def test_a_torn_file_gives_the_records_before_the_tear(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cut: int
) -> None:
    records = records_of(tuple(sizes))
    data = framed(records)
    path = tmp_path_factory.mktemp("torn") / "log"
    path.write_bytes(data[:cut])
    reader = BlockLogReader(path)
    found = list(reader.records())
    assert found == records[: len(found)]
    assert len(framed(records[: len(found) + 1])) > min(cut, len(data)) or found == records
    path.write_bytes(data)  # the rest comes
    assert found + list(reader.records()) == records
    assert (reader.damaged, reader.torn) == (0, 0)


def test_a_growing_file_is_read_at_every_byte(tmp_path: Path) -> None:
    records = records_of((3, 0, 40, BLOCK - 100, 90, 5, 2 * BLOCK))
    data = framed(records)
    path = tmp_path / "log"
    reader = BlockLogReader(path)
    found: list[bytes] = []
    places = {*range(120), *range(BLOCK - 200, BLOCK + 60), *range(0, len(data), 997), len(data)}
    for size in sorted(places):
        path.write_bytes(data[:size])
        found += reader.records()
    assert found == records
    assert reader.damaged == 0


def test_behind_a_damaged_chunk_reading_continues_in_the_next_block(tmp_path: Path) -> None:
    records = records_of((20_000,) * 8)
    data = bytearray(framed(records))
    data[25_000] ^= 1  # in the second record, the end of which is in the second block
    path = tmp_path / "log"
    path.write_bytes(data)
    found, reader = read(path)
    assert found == [records[0], *records[2:]]
    assert reader.damaged == 1


def test_damage_in_the_last_block_may_be_in_the_making(tmp_path: Path) -> None:
    records = records_of((100, 200, 300))
    whole = framed(records)
    path = tmp_path / "log"
    path.write_bytes(whole[:-100] + bytes(100))
    reader = BlockLogReader(path)
    assert list(reader.records()) == records[:2]
    assert (reader.damaged, reader.torn) == (0, 307)
    path.write_bytes(whole + chunk(FULL, b"more"))
    assert list(reader.records()) == [records[2], b"more"]
    assert (reader.damaged, reader.torn) == (0, 0)


@pytest.mark.parametrize(
    "chunks",
    [
        [(MIDDLE, b"x"), (LAST, b"y")],
        [(FIRST, b"x")],
        [(FIRST, b"x"), (MIDDLE, b"y")],
        [(9, b"x")],
        [(0, b"")],
    ],
)
def test_chunks_in_a_wrong_order(tmp_path: Path, chunks: list[tuple[int, bytes]]) -> None:
    wrong = b"".join(chunk(kind, data) for kind, data in chunks)
    path = tmp_path / "log"
    path.write_bytes(framed([b"before"]) + wrong + chunk(FULL, b"after"))
    found, _ = read(path)
    assert found[0] == b"before"
    assert set(found) <= {b"before", b"after"}


def test_a_record_without_end_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(framed([]) + chunk(FIRST, b"lost") + chunk(FULL, b"found"))
    found, reader = read(path)
    assert found == [b"found"]
    assert reader.damaged == 1


def test_a_very_large_record_is_skipped(tmp_path: Path) -> None:
    path = wandb_logs.write(tmp_path / "log", b"a", bytes(2**26 + 1), bytes(2**26), b"b")
    found, reader = read(path)
    assert [len(record) for record in found] == [1, 2**26, 1]
    assert reader.damaged == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ""),
        (b":W&B", ""),
        (b"PK\3\4 something else", "not a W&B log"),
        (framed([b"x"], version=2), "version 2 of W&B's log format is not known"),
    ],
)
def test_files_without_the_right_header(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    found, reader = read(path)
    assert found == []
    assert reader.refused == reason


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("fifo", "device", "none"):
        with pytest.raises(OSError):
            read(tmp_path / name)


def test_many_small_and_damaged_chunks_take_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(framed([]) + b"\xff" * (64 * 2**20))
    found, reader = read(path)
    assert found == []
    assert reader.damaged == 64 * 2**20 // BLOCK
