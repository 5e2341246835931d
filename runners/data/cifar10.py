"""CIFAR-10: 50,000 training and 10,000 test images in color, 32×32 pixels, in ten classes."""

from __future__ import annotations

import logging
import pickle
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from monitor.errors import DataError
from runners.data import sources
from runners.data.dataset import Dataset, image_dataset
from runners.data.download import DatasetUnavailable, download, md5, remove_empty_folders_on_error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runners.data.sources import CifarSource

log = logging.getLogger("monitor")

IMAGE_SHAPE = (3, 32, 32)  # C×H×W, pixels


def load(directory: Path) -> Dataset:
    """Return CIFAR-10 from `directory`; download or unpack it first where that is needed.

    Blocks. Raises `DataError` where the files are damaged or cannot be unpacked, `DatasetUnavailable` where there are
    none and none can be downloaded.
    """
    source = sources.CIFAR10
    is_local = (directory / source.archive).exists() or (directory / source.folder).exists()
    try:
        with remove_empty_folders_on_error(directory):
            files = _read_files(directory, source) or _unpack(directory, source)
    except (OSError, RuntimeError, ValueError, EOFError, tarfile.TarError) as error:
        reason = " ".join(str(error).split())
        if not is_local:
            raise DatasetUnavailable(f"no download: {source.url}: {reason}") from error
        if isinstance(error, PermissionError):
            raise DataError(
                f"{directory}: CIFAR-10 cannot be unpacked there ({reason}); copy it to another folder"
            ) from error
        raise DataError(f"{directory}: CIFAR-10 there is damaged ({reason}); remove or replace it") from error
    (label_file,) = source.labels_checksums
    classes = tuple(pickle.loads(files[label_file], encoding="latin1")["label_names"])
    train, test = _batches(files, source.train_checksums), _batches(files, source.test_checksums)
    return image_dataset("cifar10", train, test, classes)


def _read_files(directory: Path, source: CifarSource) -> dict[str, bytes] | None:
    """Read the unpacked files; return None if one is missing or does not match its checksum."""
    files = {}
    for name, checksum in source.checksums.items():
        path = directory / source.folder / name
        if not path.is_file():
            return None
        files[name] = path.read_bytes()
        if md5(files[name]) != checksum:
            return None
    return files


def _unpack(directory: Path, source: CifarSource) -> dict[str, bytes]:
    """Unpack the archive, downloaded if it is missing or damaged; return the files."""
    archive = directory / source.archive
    if not archive.is_file() or md5(archive.read_bytes()) != source.archive_checksum:
        log.info("downloading %s", source.url)
        directory.mkdir(parents=True, exist_ok=True)
        download(source.url, archive, source.archive_checksum)
    (directory / source.folder).mkdir(exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in source.checksums:
            member = tar.extractfile(f"{source.folder}/{name}")
            (directory / source.folder / name).write_bytes(member.read() if member is not None else b"")
    files = _read_files(directory, source)
    if files is None:
        raise RuntimeError("its unpacked files do not match their checksums")
    return files


def _batches(files: dict[str, bytes], names: Iterable[str]) -> tuple[Tensor, Tensor]:
    """Join batches to N×3×32×32 uint8 images and N classes. Pickles are safe to load once their checksums match."""
    batches: list[dict[str, Any]] = [pickle.loads(files[name], encoding="latin1") for name in names]
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, *IMAGE_SHAPE)
    return torch.from_numpy(images), torch.tensor([label for batch in batches for label in batch["labels"]])
