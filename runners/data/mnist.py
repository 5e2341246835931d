"""MNIST, and the data sets that come in its format: found in the data directory, or downloaded into it."""

from __future__ import annotations

import gzip
import logging
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monitor.errors import DataError
from runners.data.dataset import Dataset, image_dataset
from runners.data.download import DatasetUnavailable, download, md5, remove_empty_folders_on_error
from runners.data.sources import IDX_SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

log = logging.getLogger("monitor")

IMAGE_SIZE_PX = 28  # width and height
CLASS_COUNT = 10


def load(name: str, directory: Path, mirror: str | None = None) -> Dataset:
    """Return one of `IDX_SOURCES`, 60,000 training and 10,000 test images of 28×28.

    Files that are not in `directory` are downloaded, from the URL `mirror` first if it is given. Blocks. Raises
    `DataError` for damaged files, `DatasetUnavailable` where a file cannot be downloaded.
    """
    source = IDX_SOURCES[name]
    download_folder = directory / source.title / "raw"
    # MNIST may also lie directly in the data directory; the other sets' files have the same names.
    folders = (download_folder, directory) if name == "mnist" else (download_folder,)
    paths = {file: _find(folders, file) for file in source.checksums}
    arrays = {file: _read_idx(path, source.checksums[file]) for file, path in paths.items() if path is not None}
    missing = {file: checksum for file, checksum in source.checksums.items() if file not in arrays}
    if missing:
        # A mirror that the user names comes first: who names one often reaches no other.
        mirrors = [*([mirror.rstrip("/") + "/"] if mirror else []), *source.mirrors]
        _download(download_folder, missing, mirrors)
    for file, checksum in missing.items():
        paths[file] = download_folder / file
        arrays[file] = _read_idx(download_folder / file, checksum)
    train_images, train_labels, test_images, test_labels = ((arrays[file], paths[file]) for file in source.checksums)
    train, test = _pair(train_images, train_labels), _pair(test_images, test_labels)
    return image_dataset(name, train, test, source.classes)


def _pair(images: tuple[Tensor, Path | None], labels: tuple[Tensor, Path | None]) -> tuple[Tensor, Tensor]:
    """Check that images and labels, each with its path, fit each other; return N×1×28×28 images and N labels."""
    (pixels, image_path), (classes, label_path) = images, labels
    if list(pixels.shape[1:]) != [IMAGE_SIZE_PX, IMAGE_SIZE_PX]:
        expected = f"{IMAGE_SIZE_PX}×{IMAGE_SIZE_PX}"
        raise DataError(f"{image_path}: images of {expected} are expected, not {_shape(pixels.shape[1:])}")
    if classes.shape != pixels.shape[:1]:
        raise DataError(f"{label_path}: {_shape(classes.shape)} labels for {len(pixels)} images")
    if len(classes) == 0 or classes.max() >= CLASS_COUNT:
        actual = f", not {classes.max()}" if len(classes) else ""
        raise DataError(f"{label_path}: labels 0 to {CLASS_COUNT - 1} are expected{actual}")
    return pixels.unsqueeze(1), classes


def _shape(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))


def _find(folders: tuple[Path, ...], name: str) -> Path | None:
    """Find a file, compressed or uncompressed."""
    for folder in folders:
        for path in (folder / name, folder / name.removesuffix(".gz")):
            try:
                if path.is_file():
                    return path
            except OSError as error:
                raise DataError(f"--data-dir {folder}: cannot be read: {error.strerror}") from error
    return None


def _read_idx(path: Path, checksum: str) -> Tensor:
    """Read an IDX file; a compressed one is checked against its MD5 checksum."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            if md5(data) != checksum:
                raise DataError(f"{path}: damaged (its MD5 checksum is not {checksum}); remove or replace it")
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return _decode_idx(data, path)


def _decode_idx(data: bytes, path: Path) -> Tensor:
    """Decode an IDX file of bytes: a magic number, the sizes as big-endian 32-bit integers, then the values.

    Source: the format's description beside the MNIST files, http://yann.lecun.com/exdb/mnist/.
    """
    dimensions = data[3] if len(data) > 3 and data[:3] == b"\0\0\x08" else 0
    header_size = 4 + 4 * dimensions
    sizes = [int.from_bytes(data[offset : offset + 4], "big") for offset in range(4, header_size, 4)]
    if dimensions not in (1, 3) or len(data) != header_size + prod(sizes):
        raise DataError(f"{path}: damaged (its header does not fit its length); remove or replace it")
    if prod(sizes) == 0:
        return torch.empty(sizes, dtype=torch.uint8)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=header_size).reshape(sizes)


def _download(folder: Path, checksums: Mapping[str, str], mirrors: Sequence[str]) -> None:
    """Download files, each from the first mirror that has it. Raises `DatasetUnavailable`."""
    with remove_empty_folders_on_error(folder):
        for name, checksum in checksums.items():
            failures = []
            for mirror in mirrors:
                log.info("downloading %s%s", mirror, name)
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    download(mirror + name, folder / name, checksum)
                    break
                except (OSError, RuntimeError, ValueError) as error:
                    failures.append(f"{mirror}: {' '.join(str(error).split())}")
            else:
                raise DatasetUnavailable("no download: " + "; ".join(failures))
