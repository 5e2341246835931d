"""Memory that is lent for copies: never to two at once, and given back when the last array of it is gone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch

from monitor.capture import snapshot
from monitor.capture.arena import Arena, Part
from monitor.capture.snapshot import ARENA_FROM_BYTES, ArraySnapshot

BYTES = np.dtype(np.uint8)


def copied(arena: Arena, value: int, nbytes: int) -> Part | None:
    return arena.copy(memoryview(bytes([value]) * nbytes))


def test_a_copy_keeps_its_values_and_its_place_is_used_again() -> None:
    arena = Arena(1000, 1)
    part = copied(arena, 1, 600)
    assert part is not None
    array = part.array(np.dtype(np.int16), (3, 100))
    view = array[1:, :5]
    del part, array
    assert copied(arena, 2, 600) is None  # a view of the first is still there
    assert (view == 0x0101).all()
    del view
    again = copied(arena, 3, 1000)
    assert again is not None
    assert (again.array(BYTES, (1000,)) == 3).all()


def test_a_copy_larger_than_a_block_finds_no_room() -> None:
    assert copied(Arena(1000), 1, 1001) is None


def test_all_blocks_but_two_are_freed_when_nothing_is_lent() -> None:
    arena = Arena(1000, 4)
    parts = [copied(arena, value, 700) for value in range(5)]
    assert arena.nbytes == 4000
    assert parts[4] is None
    parts.clear()
    assert copied(arena, 1, 1) is not None
    assert arena.nbytes == 2000


def test_an_older_block_is_used_before_a_new_one() -> None:
    arena = Arena(1000, 4)
    first, _second = copied(arena, 1, 700), copied(arena, 2, 700)
    del first
    third = copied(arena, 3, 700)
    assert third is not None
    assert arena.nbytes == 2000


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_without_address_space_there_is_no_room() -> None:
    code = """
import resource
from monitor.capture.arena import Arena
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
import numpy
resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20), resource.RLIM_INFINITY))
arena = Arena(1 << 30)
assert arena.copy(memoryview(b"x")) is None
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert arena.copy(memoryview(b"x")) is not None
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_threads_never_share_a_place() -> None:
    arena, wrong = Arena(20_000, 3), list[int]()
    start = threading.Barrier(4)

    def work(value: int) -> None:
        rng, held, count = random.Random(value), list[np.ndarray](), 0
        start.wait(60)
        while count < 200:  # one that finds no room, or the lock taken, gets its turn when others end
            part = copied(arena, value, rng.randint(1, 5000))
            if part is not None:
                count += 1
                held.append(part.array(BYTES, (part.nbytes,)))
            if len(held) > 3 or (held and rng.random() < 0.3):
                wrong.extend(array[0] for array in held if (array != value).any())
                held.pop(rng.randrange(len(held)))

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("is_held", [False, True])
def test_a_forked_child_writes_into_memory_of_its_own(is_held: bool) -> None:
    arena = Arena(1000, 1)
    part = copied(arena, 1, 100)
    assert part is not None
    if is_held:
        arena.lock.acquire()
    child = os.fork()
    if not child:
        own = copied(arena, 2, 800)
        is_right = own is None if is_held else own is not None and bool((part.array(BYTES, (100,)) == 1).all())
        os._exit(0 if is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
    if is_held:
        arena.lock.release()
    mine = copied(arena, 3, 800)
    assert mine is not None
    assert (part.array(BYTES, (100,)) == 1).all()
    assert (mine.array(BYTES, (800,)) == 3).all()


COUNT = ARENA_FROM_BYTES
NUMBERS = torch.arange(COUNT * 2).reshape(-1, 64)
TENSORS = {
    **{
        str(dtype): NUMBERS.to(dtype)
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int16)
    },
    "uint8": (NUMBERS % 256).to(torch.uint8),
    "bool": NUMBERS % 3 == 0,
    "complex": torch.complex(NUMBERS.double(), -NUMBERS.double()),
    "transposed": NUMBERS.float().T,
    "strided": NUMBERS.float()[::2, 1::3],
    "negative": torch.complex(NUMBERS.double(), NUMBERS.double()).conj().imag,
    "parameter": torch.nn.Parameter(NUMBERS.float()),
    "result": torch.nn.Parameter(NUMBERS.float()) * 2,
    "no rows": torch.zeros(0, 3),
    "a number": torch.tensor(2.5),
}
ARRAYS = {
    **{name: np.arange(COUNT * 2).reshape(-1, 64).astype(name) for name in ("f8", "f4", "f2", "i8", "u1", "?", "c16")},
    "big endian": np.arange(COUNT).astype(">f4"),
    "long double": np.arange(COUNT).astype(np.longdouble),
    "transposed": np.arange(COUNT * 2.0).reshape(-1, 64).T,
    "strided": np.arange(COUNT * 2.0).reshape(-1, 64)[::2, 1::3],
    "objects": np.arange(COUNT).astype(object),
    "dates": np.arange(COUNT).astype("M8[s]"),
    "read-only": np.broadcast_to(np.arange(COUNT * 1.0), (2, COUNT)),
    "no rows": np.zeros((0, 3)),
}


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("name", [name for name in TENSORS if name != "a number"])
def test_the_copy_of_a_tensor_is_its_values_at_the_call(name: str, limit: int | None) -> None:
    tensor = TENSORS[name].detach().clone() if name != "negative" else TENSORS[name]
    tensor = tensor.requires_grad_() if name in ("parameter", "result") else tensor
    expected = tensor.detach().resolve_neg()[:limit].clone()
    copy = ArraySnapshot(tensor, limit)
    assert copy.nbytes == expected.numel() * expected.element_size()
    with torch.no_grad():
        if name != "negative":
            tensor.zero_()
    wanted = expected.float() if expected.dtype == torch.bfloat16 else expected
    assert copy.shape == copy.numpy().shape == tuple(expected.shape)
    np.testing.assert_array_equal(copy.numpy(), wanted.numpy(), strict=True)


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("name", list(ARRAYS))
def test_the_copy_of_an_array_is_its_values_at_the_call(name: str, limit: int | None) -> None:
    array = ARRAYS[name].copy() if name != "read-only" else ARRAYS[name]
    expected = array[:limit].copy()
    copy = ArraySnapshot(array, limit)
    if name != "read-only":
        array[...] = 0
    assert copy.shape == copy.numpy().shape == expected.shape
    np.testing.assert_array_equal(copy.numpy(), expected, strict=True)
    assert copy.numpy().flags.writeable


def test_a_tensor_without_rows_or_dimensions_is_copied() -> None:
    tensor = torch.tensor(2.5)
    copy = ArraySnapshot(tensor)
    tensor.zero_()
    assert copy.numpy() == 2.5


def test_a_tensor_of_an_inference_is_copied() -> None:
    with torch.inference_mode():
        tensor = torch.arange(COUNT) + 1.0
    copy = ArraySnapshot(tensor)
    assert copy.numpy()[-1] == COUNT


@pytest.mark.parametrize(
    ("value", "is_lent"),
    [
        (torch.ones(COUNT), True),
        (torch.nn.Parameter(torch.ones(COUNT)), True),
        (np.ones(COUNT), True),
        (torch.ones(10), False),
        (np.ones(10), False),
        (torch.ones(COUNT, 2).T, False),
        (torch.ones(COUNT, dtype=torch.bfloat16), False),
        (np.ones(COUNT, object), False),
    ],
)
def test_what_the_arena_is_for(value: Any, is_lent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "arena", arena := Arena())
    copy = ArraySnapshot(value)
    assert (arena.nbytes > 0) == is_lent
    assert copy.numpy().shape == tuple(value.shape)


def test_copies_are_right_when_the_arena_is_full() -> None:
    large = torch.arange(1 << 20)
    copies = [ArraySnapshot(large + index) for index in range(12)]
    assert [int(copy.numpy()[-1]) for copy in copies] == [(1 << 20) - 1 + index for index in range(12)]
