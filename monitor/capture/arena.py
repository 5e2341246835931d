"""Memory for copies of arrays, which a copy gives back when nothing refers to it anymore.

The system hands out fresh memory page by page and clears each page, which takes several times as long as copying into
it. An arena keeps memory that was used before, in huge pages where the system has them.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALIGNMENT = 64
BLOCK_BYTES = 8 << 20
MAX_BLOCKS = 8


class Arena:
    """Lend parts of a few large blocks, from any thread. A block is used again when all its parts were given back.

    Attributes:
        lock: held during a copy. A child that was forked meanwhile finds it held for good, and gets no copies.
    """

    def __init__(self, block_bytes: int = BLOCK_BYTES, max_blocks: int = MAX_BLOCKS) -> None:
        """Allocate nothing yet.

        Args:
            block_bytes: bytes of a block.
            max_blocks: how many blocks there may be.
        """
        self._block_bytes, self._max_blocks = block_bytes, max_blocks
        self._blocks: list[_Block] = []  # the last one lends
        self.lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks that there are."""
        return len(self._blocks) * self._block_bytes

    def copy(self, data: memoryview) -> Part | None:
        """Return a copy of bytes, or None if there is no room.

        Holds the interpreter's lock meanwhile: a thread that lets go of it for a copy waits for up to 5 ms to get it
        back from a busy one.
        """
        if data.nbytes > self._block_bytes or not self.lock.acquire(blocking=False):
            return None
        try:
            block = self._block_with(data.nbytes)
            return None if block is None else block.copy(data)
        finally:
            self.lock.release()

    def _block_with(self, nbytes: int) -> _Block | None:
        """Return a block with room. If the current one is unused, free the other unused ones but one."""
        blocks = self._blocks
        if blocks:
            if blocks[-1].is_unused():
                blocks[-1].start_again()
                for block in [block for block in blocks[:-1] if block.is_unused()][1:]:
                    blocks.remove(block)
            if blocks[-1].used + nbytes <= self._block_bytes:
                return blocks[-1]
        for index, block in enumerate(blocks):
            if block.is_unused():
                block.start_again()
                blocks.append(blocks.pop(index))
                return block
        if len(blocks) == self._max_blocks:
            return None
        with contextlib.suppress(OSError):  # no address space left
            blocks.append(_Block(self._block_bytes))
            return blocks[-1]
        return None


class Part:
    """A part of a block. NumPy's arrays of it keep it; it is given back when they are gone."""

    __slots__ = ("_address", "_block", "nbytes")

    def __init__(self, block: _Block, address: int, nbytes: int) -> None:
        self._block, self._address, self.nbytes = block, address, nbytes

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return its bytes as an array."""
        import numpy as np

        return np.asarray(self).view(dtype).reshape(shape)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"version": 3, "typestr": "|u1", "shape": (self.nbytes,), "data": (self._address, False)}

    def __del__(self) -> None:
        self._block.returned.append(None)


class _Block:
    """Memory that is lent from its beginning to its end.

    Attributes:
        used: bytes that were lent.
        returned: an entry for each part that was given back; appending to a list needs no lock.
    """

    def __init__(self, nbytes: int) -> None:
        import numpy as np

        # A forked child gets memory of its own, which `mmap` does not give by default.
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        memory = mmap.mmap(-1, nbytes, **private)
        with contextlib.suppress(OSError):  # a kernel may be built without them
            if hasattr(mmap, "MADV_HUGEPAGE"):
                memory.madvise(mmap.MADV_HUGEPAGE)
        self._view = memoryview(memory)
        self._address: int = np.frombuffer(memory, np.uint8).__array_interface__["data"][0]
        self.used = self._lent = 0
        self.returned: list[None] = []

    def is_unused(self) -> bool:
        """Tell whether all parts were given back."""
        return len(self.returned) == self._lent

    def start_again(self) -> None:
        """Lend from the beginning."""
        self.returned.clear()
        self._lent = 0
        self.used = 0

    def copy(self, data: memoryview) -> Part:
        """Return a copy of bytes, for which there is room."""
        start, nbytes = self.used, data.nbytes
        self._lent += 1  # before the part is made: a signal's exception in between loses the block, and no values
        part = Part(self, self._address + start, nbytes)
        self.used += -(-nbytes // ALIGNMENT) * ALIGNMENT
        self._view[start : start + nbytes] = data
        return part
