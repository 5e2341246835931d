"""Where data sets are downloaded from, and what a run imports that need not download any."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runners.data import sources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", sources.IDX_SOURCES)
def test_sources_in_mnists_format_are_torchvisions(name: str) -> None:
    import torchvision.datasets

    ours = sources.IDX_SOURCES[name]
    theirs = getattr(torchvision.datasets, ours.title)
    assert list(ours.mirrors) == theirs.mirrors
    assert list(ours.checksums.items()) == theirs.resources  # in the same order
    assert list(ours.classes) == [label.partition(" - ")[0] for label in theirs.classes]


def test_the_source_of_cifar10_is_torchvisions() -> None:
    from torchvision.datasets import CIFAR10

    ours = sources.CIFAR10
    assert (ours.url, ours.archive, ours.folder) == (CIFAR10.url, CIFAR10.filename, CIFAR10.base_folder)
    assert ours.archive_checksum == CIFAR10.tgz_md5
    assert [[*item] for item in ours.train_checksums.items()] == CIFAR10.train_list
    assert [[*item] for item in ours.test_checksums.items()] == CIFAR10.test_list
    assert ours.labels_checksums == {CIFAR10.meta["filename"]: CIFAR10.meta["md5"]}
    assert CIFAR10.meta["key"] == "label_names"


@pytest.mark.slow
def test_a_run_on_local_files_imports_only_what_it_uses(tmp_path: Path, small_mnist: Path) -> None:
    unused = ("torchvision", "sklearn", "scipy", "matplotlib", "pandas")
    script = (
        "import sys; from runners import mlp\n"
        "metrics = mlp.main(sys.argv[1:], standalone_mode=False)\n"
        f"print(sorted(metrics), [name for name in {unused} if name in sys.modules])"
    )
    arguments = ["--data", "mnist", "--data-dir", str(small_mnist), "--epochs", "1", "--hidden", "8", "--sink",
                 "console", "--logdir", str(tmp_path)]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['test/accuracy', 'test/loss'] []"
