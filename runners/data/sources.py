"""Where image data sets are downloaded from, and the MD5 checksums of their files.

The same as torchvision's, which takes three seconds to import; a test compares the two.
"""

from __future__ import annotations

from typing import NamedTuple


class IdxSource(NamedTuple):
    """A data set in MNIST's format: training images and labels, then test images and labels, each a gzipped file."""

    title: str  # also the folder in the data directory
    mirrors: tuple[str, ...]  # URLs, each with a slash at the end
    checksums: dict[str, str]  # MD5 by file name, in the order above
    classes: tuple[str, ...]


class CifarSource(NamedTuple):
    """CIFAR-10: one archive of pickled batches."""

    url: str
    archive: str
    archive_checksum: str  # MD5
    folder: str  # the archive unpacks into it
    train_checksums: dict[str, str]  # MD5 by file name
    test_checksums: dict[str, str]
    labels_checksums: dict[str, str]  # of the one file with the class names

    @property
    def checksums(self) -> dict[str, str]:
        """The MD5 of every unpacked file, by name."""
        return {**self.train_checksums, **self.test_checksums, **self.labels_checksums}


IDX_SOURCES = {
    "mnist": IdxSource(
        "MNIST",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        tuple("0123456789"),
    ),
    "fashion-mnist": IdxSource(
        "FashionMNIST",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        (
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    ),
    "kmnist": IdxSource(
        "KMNIST",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        {
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        },
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}  # fmt: skip

CIFAR10 = CifarSource(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive="cifar-10-python.tar.gz",
    archive_checksum="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    train_checksums={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test_checksums={"test_batch": "40351d587109b95175f43aff81a1287e"},
    labels_checksums={"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"},
)
