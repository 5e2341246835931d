"""MNIST and the sets that come in its format: found, or downloaded by torchvision's own addresses and sums."""

from __future__ import annotations

import gzip
import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from monitor.errors import DataError
from runners.data.dataset import Dataset, image_dataset
from runners.data.download import DatasetUnavailable, socket_timeout

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("monitor")

TORCHVISION_NAMES = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}  # torchvision's
IMAGE_SIZE = 28  # pixels


def load(name: str, directory: Path, mirror: str | None = None) -> Dataset:
    """Return one of `NAMES`, 60,000 + 10,000 images of 28×28. Raises `DataError`, or `Unavailable`."""
    import torchvision.datasets

    source: Any = getattr(torchvision.datasets, TORCHVISION_NAMES[name])
    folder = directory / TORCHVISION_NAMES[name] / "raw"
    # MNIST may lie right in the directory; the others have files of the same names.
    folders = (folder, directory) if name == "mnist" else (folder,)
    # Where the user names a mirror, it is asked first: whoever names one often reaches nothing else.
    mirrors = [*([mirror.rstrip("/") + "/"] if mirror else []), *source.mirrors]
    found = {file: _find(folders, file) for file, _ in source.resources}
    decoded = {file: _idx(_read(path, md5), path) for file, md5 in source.resources if (path := found[file])}
    missing = [(file, md5) for file, md5 in source.resources if file not in decoded]
    if missing:
        _download(folder, missing, mirrors)
    for file, md5 in missing:
        decoded[file] = _idx(_read(folder / file, md5), folder / file)
    where = {file: found[file] or folder / file for file, _ in source.resources}
    parts = [(decoded[file], where[file]) for file, _ in source.resources]
    classes = tuple("0123456789") if name == "mnist" else tuple(source.classes)
    return image_dataset(name, _pair(*parts[0], *parts[1]), _pair(*parts[2], *parts[3]), classes)


def _pair(images: Tensor, images_path: Path, labels: Tensor, labels_path: Path) -> tuple[Tensor, Tensor]:
    """Check that images and labels fit each other; return the images as N×1×H×W."""
    if list(images.shape[1:]) != [IMAGE_SIZE, IMAGE_SIZE]:
        raise DataError(f"{images_path}: images of {IMAGE_SIZE}×{IMAGE_SIZE} are wanted, not {_sizes(images)}")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{labels_path}: {_sizes(labels)} labels for {len(images)} images")
    if len(labels) == 0 or labels.max() > 9:
        raise DataError(f"{labels_path}: labels 0 to 9 are wanted" + (f", not {labels.max()}" if len(labels) else ""))
    return images.unsqueeze(1), labels


def _sizes(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape[1:] if tensor.ndim > 1 else tensor.shape))


def _find(folders: tuple[Path, ...], name: str) -> Path | None:
    """Find a file, packed or unpacked."""
    for folder in folders:
        for path in (folder / name, folder / name.removesuffix(".gz")):
            try:
                if path.is_file():
                    return path
            except OSError as error:
                raise DataError(f"--data-dir {folder}: cannot be read: {error.strerror}") from error
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
    if count == 0:
        return torch.empty(sizes, dtype=torch.uint8)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=head).reshape(sizes)


def _download(folder: Path, files: list[tuple[str, str]], mirrors: list[str]) -> None:
    """Get the files through torchvision, which checks their sums; nothing unchecked stays behind."""
    from torchvision.datasets.utils import download_url

    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with socket_timeout():
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
                raise DatasetUnavailable("no download: " + "; ".join(failures))
