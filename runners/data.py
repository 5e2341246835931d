"""Data sets, decoded once into tensors: no per-image work is left for the training loop.

MNIST comes from the data directory if it is there, else by torchvision's own checked download into it. Where it cannot
be had, `auto` trains on scikit-learn's bundled digits instead, and says so; neither is ever passed off as the other.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from monitor.errors import DataError

log = logging.getLogger("monitor")

MNIST_MEAN, MNIST_STD = 0.1307, 0.3081  # of the training pixels, in [0, 1]
TIMEOUT = 15.0  # seconds that a download waits for an answer
WAYS_OUT = (
    "give --data-dir a folder with the four MNIST files, --mnist-mirror a URL that has them, "
    "or --data digits for the small set that needs no download"
)


class Split(NamedTuple):
    """Samples of one part: `x` N×D float, standardized; `y` N int64 classes; `images` N×1×H×W float in [0, 1]."""

    x: Tensor
    y: Tensor
    images: Tensor

    def to(self, device: torch.device) -> Split:
        """Put the model's inputs on `device`; the pictures stay where they are."""
        return Split(self.x.to(device), self.y.to(device), self.images)


class Data(NamedTuple):
    """A data set, by the name of what it really is."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]


def load(name: str, directory: Path, mirror: str | None = None) -> Data:
    """Load `mnist`, `digits`, or, for `auto`, the first of the two that can be had.

    Raises `DataError`, in one line, for data that is missing, unreadable or damaged. Downloads block; each waits at
    most 15 s for an answer.
    """
    if name == "digits":
        return digits()
    try:
        return mnist(directory, mirror)
    except Unavailable as error:
        if name == "mnist":
            raise DataError(f"MNIST cannot be had ({error}); {WAYS_OUT}") from error
        log.warning(
            "MNIST cannot be had (%s); training on scikit-learn's handwritten digits instead (1,797 of them)", error
        )
        return digits()


class Unavailable(Exception):
    """MNIST is neither in the directory nor to be downloaded."""


def mnist(directory: Path, mirror: str | None = None) -> Data:
    """Return MNIST, 60,000 + 10,000 images of 28×28."""
    from torchvision.datasets import MNIST

    if directory.exists() and not directory.is_dir():
        raise DataError(f"--data-dir {directory}: is no directory")
    # Where the user names a mirror, it is asked first: whoever names one often reaches nothing else.
    mirrors = [*([mirror.rstrip("/") + "/"] if mirror else []), *MNIST.mirrors]
    found = {name: _find(directory, name) for name, _ in MNIST.resources}
    decoded = {name: _idx(_read(path, md5), path) for name, md5 in MNIST.resources if (path := found[name])}
    missing = [(name, md5) for name, md5 in MNIST.resources if name not in decoded]
    if missing:
        _download(directory / "MNIST" / "raw", missing, mirrors)
    for name, md5 in missing:
        path = directory / "MNIST" / "raw" / name
        decoded[name] = _idx(_read(path, md5), path)
    train_images, train_labels, test_images, test_labels = (decoded[name] for name, _ in MNIST.resources)
    return Data("mnist", _split(train_images, train_labels), _split(test_images, test_labels), tuple("0123456789"))


def digits() -> Data:
    """Return scikit-learn's 1,797 handwritten digits, 8×8 scaled to 28×28; every fifth is for testing."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    images = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    y = torch.from_numpy(bunch.target).long()
    mean, std = images.mean(), images.std()
    test = torch.arange(len(y)) % 5 == 0
    train, held_out = (Split(((images[part] - mean) / std).flatten(1), y[part], images[part]) for part in (~test, test))
    return Data("digits", train, held_out, tuple("0123456789"))


def _split(images: Tensor, labels: Tensor) -> Split:
    pixels = images.float().div_(255)
    x = pixels.flatten(1).sub(MNIST_MEAN).div_(MNIST_STD)
    return Split(x, labels.long(), pixels.unsqueeze(1))


def _find(directory: Path, name: str) -> Path | None:
    """Find one of MNIST's files, packed or unpacked, where torchvision keeps it or right in the directory."""
    for folder in (directory / "MNIST" / "raw", directory):
        for path in (folder / name, folder / name.removesuffix(".gz")):
            try:
                if path.is_file():
                    return path
            except OSError as error:
                raise DataError(f"--data-dir {directory}: cannot be read: {error.strerror}") from error
    return None


def _read(path: Path, md5: str) -> bytes:
    """Read a file whole; a packed one is checked against the sum that torchvision holds."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
                raise DataError(f"{path}: damaged (its MD5 sum is not {md5}); remove it, or get it anew")
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return data


def _idx(data: bytes, path: Path) -> Tensor:
    """Decode an IDX file of bytes: a magic number, the sizes as big-endian 32-bit numbers, then the values.

    Source: the format's description beside the MNIST files, http://yann.lecun.com/exdb/mnist/.
    """
    dimensions = data[3] if len(data) > 3 and data[:3] == b"\0\0\x08" else 0
    head = 4 + 4 * dimensions
    sizes = [int.from_bytes(data[at : at + 4], "big") for at in range(4, head, 4)]
    count = 1
    for size in sizes:
        count *= size
    if dimensions not in (1, 3) or len(data) != head + count:
        raise DataError(f"{path}: damaged (its header does not fit its length); remove it, or get it anew")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=head).reshape(sizes)


def _download(folder: Path, files: list[tuple[str, str]], mirrors: list[str]) -> None:
    """Get the files through torchvision, which checks their sums; nothing unchecked stays behind."""
    from torchvision.datasets.utils import download_url

    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with _timeout(TIMEOUT):
        for name, md5 in files:
            failures = []
            for mirror in mirrors:
                log.info("downloading %s%s", mirror, name)
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    download_url(mirror + name, str(folder), filename=name, md5=md5)
                    break
                except (OSError, RuntimeError, ValueError) as error:
                    with suppress(OSError):
                        (folder / name).unlink()
                    failures.append(f"{mirror}: {' '.join(str(error).split())}")
            else:
                for path in made:
                    with suppress(OSError):
                        path.rmdir()  # only if nothing is in it
                raise Unavailable("no download: " + "; ".join(failures))


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Limit how long a socket waits: torchvision gives its own no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
