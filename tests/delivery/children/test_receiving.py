"""The parent takes in nothing but entries, over every kind of socket, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import pickle
import resource
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import records as r
from monitor.delivery.children import local_socket
from monitor.delivery.children.forwarding import Sender
from monitor.delivery.children.receiving import SENDER_BYTES, Receiver
from monitor.delivery.children.wire import PREFIX, Frames, encode
from monitor.delivery.children.wire_decoding import decode
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILIES = ("abstract", "directory", "loopback")
GOOD = ("a", 1.0, 0, 0.5)


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


class Parent:
    """A receiver, and what it passed on."""

    def __init__(self, family: str) -> None:
        self.entries: list[Any] = []
        self.receiver = Receiver(self.entries.append, family)
        address = self.receiver.address()
        assert address is not None
        self.address = address

    def connect(self, *, token: bytes | None = None, sender: bytes = b"s" * SENDER_BYTES) -> socket.socket:
        connection = local_socket.connect(self.address)
        connection.sendall((self.address.token if token is None else token) + sender)
        return connection


@pytest.fixture(params=FAMILIES)
def parent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Parent]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = descriptors()
    made = Parent(request.param)
    yield made
    made.receiver.close()
    made.receiver.close()
    wait_until(lambda: not any(thread.name == "monitor-children" for thread in threading.enumerate()), 60, "the end")
    assert descriptors() <= before
    assert list(tmp_path.iterdir()) == []


def frame(header: Any, arrays: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(len(text), len(arrays)) + text + arrays


NOT_ENTRIES = {
    "a pickle": pickle.dumps(print),
    "no list": {"a": 1},
    "nothing": [],
    "another kind": ["Restart", 0, 0.0],
    "no settings": ["Config", [1], 0.0],
    "settings that clash": ["Config", {"a": {"b": 1}, "a.b": 2}, 0.0],
    "a kind that is no text": [["Scalar"], "a", 1.0, 0, 0.0],
    "deep": b"[" * 100_000,
    "too few fields": ["Scalar", "a", 1.0],
    "too many fields": ["Scalar", "a", 1.0, 0, 0.0, 1],
    "an int for a float": ["Scalar", "a", 1, 0, 0.0],
    "an empty tag": ["Scalar", "", 1.0, 0, 0.0],
    "a surrogate": ["Scalar", "\ud800", 1.0, 0, 0.0],
    "a large step": ["Scalar", "a", 1.0, 2**63, 0.0],
    "a bool for a step": ["Scalar", "a", 1.0, True, 0.0],
    "no time": ["Scalar", "a", 1.0, 0, float("nan")],
    "values that are no mapping": ["Scalar", None, [1.0], 0, 0.0],
    "a text for a value": ["Scalar", None, {"a": "1"}, 0, 0.0],
    "text for an array": ["Histogram", "h", "1.0", 0, 0.0, None],
    "another dtype": ["Histogram", "h", {"dtype": "|O", "shape": [1]}, 0, 0.0, None],
    "an array that is not there": ["Histogram", "h", {"dtype": "<f8", "shape": [2**40]}, 0, 0.0, None],
    "a negative shape": ["Images", "i", {"dtype": "|u1", "shape": [-1, -1, 1, 1]}, 0, 0.0],
    "two channels": ["Images", "i", {"dtype": "|u1", "shape": [1, 2, 2, 1]}, 0, 0.0],
    "a name that is no text": ["Progress", "1", 2, 3, 4, 0.0],
}


@pytest.mark.parametrize("what", NOT_ENTRIES)
def test_what_is_no_entry_is_refused(what: str, caplog: pytest.LogCaptureFixture) -> None:
    parent = Parent(local_socket.DEFAULT_FAMILY)
    with parent.connect() as connection:
        bad = frame(NOT_ENTRIES[what], b"1234" if "channels" in what else b"")
        connection.sendall(encode(GOOD) + bad + bad + encode(GOOD))
    parent.receiver.close()
    assert parent.entries == [GOOD, GOOD]
    assert parent.receiver.refused == 2
    (message,) = caplog.messages
    assert message.startswith("what a child process sent was refused: ")
    assert "\n" not in message


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_are_an_entry(data: bytes) -> None:
    for header in (data, b'["Scalar",' + data, b'["Curve","a",' + data):
        try:
            entry = decode(header, data, set())
        except Exception:
            continue
        assert entry


def test_sizes_that_no_frame_has_end_the_connection(parent: Parent) -> None:
    with parent.connect() as connection, parent.connect(sender=b"t" * SENDER_BYTES) as other:
        connection.sendall(encode(GOOD) + PREFIX.pack(2**63, 2**63))
        connection.settimeout(5)
        assert connection.recv(1) == b""
        other.sendall(encode(GOOD))
        wait_until(lambda: len(parent.entries) == 2, 60, "the good entries")
    assert parent.receiver.refused == 1


def test_without_the_token_nothing_is_taken(parent: Parent) -> None:
    with parent.connect(token=b"x" * len(parent.address.token)) as connection:
        connection.settimeout(5)
        assert connection.recv(1) == b""
    with parent.connect() as connection:
        connection.sendall(encode(GOOD)[:-1])  # the rest never comes
    sender = Sender(parent.address)
    sender.send(GOOD)
    parent.receiver.close()
    assert parent.entries == [GOOD]
    sender.send(GOOD)
    assert (sender.sent, sender.lost) == (1, 1)


def test_a_record_larger_than_any_buffer(parent: Parent) -> None:
    values = np.arange(3_000_000, dtype=np.float64)
    sender = Sender(parent.address)
    sender.send(r.Histogram("h", values, 0, 0.5))
    sender.send(GOOD)
    sender.disconnect()
    wait_until(lambda: len(parent.entries) == 2, 60, "both records")
    assert np.array_equal(parent.entries[0].values, values)
    assert parent.entries[1] == GOOD


def test_a_record_that_cannot_be_sent_costs_only_itself(parent: Parent, caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender(parent.address)
    sender.send(r.Restart(1, 0.5))
    sender.send(GOOD)
    sender.disconnect()
    assert (sender.sent, sender.lost) == (1, 1)
    assert caplog.messages == [
        "a record cannot be sent to the parent process: a Restart record cannot be logged in a child process"
    ]


def test_another_connection_of_a_sender_comes_after_its_first_one() -> None:
    """Even if the first one still has more than the thread reads at once: the thread is held up meanwhile."""
    go_on, entries = threading.Event(), []

    def put(entry: Any) -> None:
        go_on.wait(60)
        entries.append(entry)

    receiver = Receiver(put, "loopback")
    first, sender = Sender(receiver.address()), Sender(receiver.address())
    first.send(GOOD)
    texts = [r.Text("t", "x" * 100_000, step, 0.5) for step in range(15)]
    for text in texts:
        sender.send(text)
    sender.disconnect()
    sender.send(GOOD)
    go_on.set()
    wait_until(lambda: len(entries) == 17, 60, "the last entry")
    receiver.close()
    assert entries == [GOOD, *texts, GOOD]


def test_frames_that_arrive_byte_by_byte() -> None:
    frames, found = Frames(), []
    for byte in encode(GOOD) * 3:
        frames.add(bytes([byte]))
        found += [decode(header, arrays, set()) for header, arrays in frames]
    assert found == [GOOD] * 3


def test_no_entry_is_lost_while_file_descriptors_run_out(caplog: pytest.LogCaptureFixture) -> None:
    parent = Parent(local_socket.DEFAULT_FAMILY)
    sender = Sender(parent.address)
    waiting = socket.socket(socket.AF_UNIX)  # connects while the parent cannot accept it
    spare = os.open("/dev/null", os.O_RDONLY)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, limits[1]))
        while True:
            try:
                taken.append(os.dup(spare))
            except OSError:
                break
        waiting.connect(parent.address.name)
        waiting.sendall(parent.address.token + b"w" * SENDER_BYTES + encode(GOOD))
        sender.send(GOOD)
        assert sender.lost == 1
        wait_until(lambda: len(caplog.messages) == 2, 60, "both warnings")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for number in (*taken, spare):
            os.close(number)
    sender.send(GOOD)
    assert (sender.sent, sender.lost) == (1, 1)
    sender.disconnect()
    waiting.close()
    parent.receiver.close()
    assert parent.entries == [GOOD, GOOD]
