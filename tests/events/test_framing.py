"""The framing of event files: what is written is read back; torn, damaged and absurd events cost what they should."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tensorboardX.record_writer import RecordWriter

from monitor.events import framing
from monitor.events.framing import CHECKSUM, LENGTH, FrameReader, frame, masked_crc

if TYPE_CHECKING:
    from pathlib import Path


def header(length: int) -> bytes:
    from crc32c import crc32c

    packed = LENGTH.pack(length)
    return packed + CHECKSUM.pack(masked_crc(crc32c(packed)))


def events(count: int) -> list[bytes]:
    rng = random.Random(3)
    return [rng.randbytes(rng.choice((0, 1, 11, 12, 300, 70_000))) for _ in range(count)]


def test_frames_are_tensorboardx_s(tmp_path: Path) -> None:
    writer = RecordWriter(str(tmp_path / "theirs"))
    for event in events(20):
        writer.write(event)
    writer.close()
    assert (tmp_path / "theirs").read_bytes() == b"".join(map(frame, events(20)))


def test_every_way_to_cut_a_file_leaves_whole_events_and_the_rest_for_later(tmp_path: Path) -> None:
    wanted = [b"", b"a", b"bc" * 20, b"d"]
    whole = b"".join(map(frame, wanted))
    path = tmp_path / "events"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        reader = FrameReader(path)
        first = list(reader.frames())
        assert reader.torn == cut - sum(len(frame(event)) for event in first)
        path.write_bytes(whole)
        assert first + list(reader.frames()) == wanted
        assert (reader.damaged, reader.torn) == (0, 0)


def test_events_larger_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events").write_bytes(b"".join(map(frame, events(200))))
    monkeypatch.setattr(framing, "READ_CHUNK_BYTES", 64)
    assert list(FrameReader(tmp_path / "events").frames()) == events(200)


def test_damage_to_the_data_costs_one_event_and_to_the_length_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "events"
    data = bytearray(b"".join(map(frame, (b"one", b"two", b"three"))))
    data[len(frame(b"one")) + 12] ^= 1
    path.write_bytes(data)
    reader = FrameReader(path)
    assert (list(reader.frames()), reader.damaged, reader.unreadable) == ([b"one", b"three"], 1, False)
    data[len(frame(b"one"))] ^= 1
    path.write_bytes(data)
    reader = FrameReader(path)
    assert (list(reader.frames()), reader.damaged, reader.unreadable) == ([b"one"], 1, True)


@pytest.mark.parametrize("mebibytes", [60, 1000, 100_000])
def test_an_event_that_claims_to_be_huge(tmp_path: Path, mebibytes: int) -> None:
    """A sparse file of some kilobytes claims an event of many mebibytes."""
    path = tmp_path / "events"
    length = mebibytes * 2**20
    with path.open("wb") as file:
        file.write(frame(b"before") + header(length))
        file.seek(length + CHECKSUM.size, 1)
        file.write(frame(b"after"))
    script = """
import re, sys
from pathlib import Path
from monitor.events.framing import FrameReader
reader = FrameReader(Path(sys.argv[1]))
print(*(event.decode() for event in reader.frames()), reader.damaged)
print(int(re.search(r"VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\t", " "))[1]) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=200)
    events_read, peak_mib = done.stdout.splitlines()
    assert events_read.split() == ["before", "after", "1"]
    assert int(peak_mib) < 300
