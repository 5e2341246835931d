"""Event files that promise more than they hold, or hold what no writer writes; each is at most some megabytes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

from monitor.events.framing import frame
from tests.support import foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

INFINITE, NAN = float("inf"), float("nan")
INT64 = 9


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int, rows: int = 0) -> bytes:
    """Return a small PNG that claims a size, and holds its first rows, all black."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * (rows * (3 * width + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """Return a JPEG of 8×8 pixels whose header claims 60,000×60,000."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "jpeg")
    data = bytearray(out.getvalue())
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    return bytes(data)


def picture(tag: str, encoded: bytes) -> Any:
    """Return a picture in the old format."""
    return Summary.Value(tag=tag, image=Summary.Image(height=1, width=1, colorspace=3, encoded_image_string=encoded))


def film(width: int, height: int, frames: int = 20) -> bytes:
    """Return a small GIF that claims a size; its frames hold one pixel each."""
    size = struct.pack("<HH", width, height)
    frame_ = b"\x21\xf9\x04\0\1\0\0\0\x2c\0\0\0\0" + size + b"\0\2\2\x44\1\0"
    return b"GIF89a" + size + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + frame_ * frames + b"\x3b"


def sound(tag: str, size: int) -> Any:
    """Return a sound of so many bytes."""
    audio = Summary.Audio(sample_rate=1, num_channels=1, length_frames=2**62, encoded_audio_string=bytes(size))
    return Summary.Value(tag=tag, audio=audio)


def promised(plugin: str, dtype: int, sizes: Iterable[int], tag: str = "", **held: Any) -> Any:
    """Return a tensor whose shape need not fit what it holds."""
    return foreign.tensor(tag or plugin, plugin, TensorProto(dtype=dtype, tensor_shape=foreign.shape(*sizes), **held))


def settings(**values: float) -> Any:
    """Return what `add_hparams` of torch writes."""
    info = SessionStartInfo()
    for name, value in values.items():
        info.hparams[name].number_value = value
    content = HParamsPluginData(session_start_info=info).SerializeToString()
    value = foreign.tensor("_hparams_/session_start_info", "hparams", TensorProto())
    value.metadata.plugin_data.content = content
    value.ClearField("tensor")
    return value


def field(number: int, data: bytes) -> bytes:
    """Return an encoded field of bytes."""
    length, encoded = len(data), b""
    while True:
        encoded += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + encoded + data


def raw(path: Path, *events: bytes) -> None:
    """Write encoded events, which need not be valid, between two good scalars."""
    before, after = (foreign.event(step, foreign.simple("good", step)).SerializeToString() for step in (1, 2))
    path.write_bytes(b"".join(map(frame, (before, *events, after))))


def values(path: Path, *made: Any) -> None:
    """Write each value in an event of its own."""
    raw(path, *(foreign.event(1, value).SerializeToString() for value in made))


def _packed(path: Path, number: int, mebibytes: int) -> None:
    """Write a tensor of packed numbers of one byte each; `number` is that of their field."""
    tensor = TensorProto(dtype=INT64, tensor_shape=foreign.shape(3, 3)).SerializeToString()
    tensor += field(number, b"\1" * (mebibytes * 2**20))
    raw(path, field(5, field(1, field(1, b"packed") + field(8, tensor))))


def _histogram(path: Path, buckets: int) -> None:
    limits = np.arange(buckets, dtype=float)
    histo = HistogramProto(min=0, max=buckets, num=buckets, bucket_limit=limits, bucket=np.ones(buckets))
    values(path, Summary.Value(tag="h", histo=histo))


def _odd_histograms(path: Path) -> None:
    lists = ([0.0, 1.0], [1.0, 2.0]), ([1.0, 0.0], [1.0, 2.0]), ([0.0, NAN], [1.0, 2.0]), ([0.0, 1.0], [-1.0, INFINITE])
    old = [HistogramProto(min=NAN, max=NAN, bucket_limit=limits, bucket=counts) for limits, counts in lists]
    new = [
        np.array([[1.0, 0.0, 3.0], [NAN, NAN, NAN]]),
        np.array([[0, 1e300, 1e300]]),
        np.array([[0, 1, -5.0]]),
        np.array([[0, INFINITE, 1.0]]),
    ]
    made = [Summary.Value(tag="old", histo=histo) for histo in old] + [foreign.histogram("new", array) for array in new]
    values(path, *made)


def _times(path: Path) -> None:
    times = (NAN, INFINITE, -INFINITE, 1e300, -1e300, -1.0, 1e15)
    summary = Summary(value=[foreign.simple("good", 0.5), foreign.text("note", "x")])
    made = [Event(wall_time=time, step=step, summary=summary) for step, time in enumerate(times)]
    made += [Event(wall_time=NAN, step=2, session_log=foreign.restart(2).session_log)]
    raw(path, *(event.SerializeToString() for event in made))


def _steps(path: Path) -> None:
    steps = (-(2**63), -1, 0, 2**53 + 1, 2**63 - 1)
    made = [foreign.event(step, foreign.simple("good", value)) for step in steps for value in (1e308, -1e38, NAN, 0.0)]
    raw(path, *(event.SerializeToString() for event in made))


LARGE_TAGS = [foreign.event(n, foreign.simple(f"{n}" + "x" * 2**20, 1.0)).SerializeToString() for n in range(3)]

FILES: dict[str, Callable[[Path], None]] = {
    "tensor of 2^29": lambda path: values(
        path,
        promised("scalars", foreign.FLOAT, [2**29], float_val=[1.0]),
        promised("histograms", foreign.DOUBLE, [2**29, 3], double_val=[1.0]),
        promised("images", foreign.STRING, [2**29], string_val=[b"x"]),
        promised("text", foreign.STRING, [2**29], string_val=[b"x"]),
    ),
    "tensor of 2^62": lambda path: values(
        path,
        promised("scalars", foreign.FLOAT, [2**31, 2**31], float_val=[1.0]),
        promised("histograms", foreign.DOUBLE, [2**62, 3], tensor_content=b"12345678"),
        promised("histograms", foreign.DOUBLE, [-1, 3], double_val=[1.0]),
        promised("histograms", foreign.DOUBLE, [0, 3]),
        promised("scalars", foreign.STRING, [], string_val=[b"1.5"]),
        promised("scalars", 8, [], scomplex_val=[1.0, 2.0]),
    ),
    "packed numbers": lambda path: _packed(path, 10, 40),
    "packed booleans": lambda path: _packed(path, 11, 40),
    "empty values": lambda path: raw(path, field(5, b"\x0a\x00" * 20_000_000)),
    "empty texts": lambda path: raw(path, field(5, field(1, field(1, b"a") + field(8, b"\x42\x00" * 20_000_000)))),
    "empty sizes": lambda path: raw(
        path, field(5, field(1, field(1, b"a") + field(8, field(2, b"\x12\x00" * 10_000_000))))
    ),
    "large pictures": lambda path: values(
        path, *(picture(f"p{n}", bomb(4000, 4000, 4000)) for n in range(8))
    ),
    "forty large pictures in one": lambda path: values(
        path, promised("images", foreign.STRING, [42], string_val=[b"4000", b"4000"] + [bomb(4000, 4000, 4000)] * 40)
    ),
    "picture bombs": lambda path: values(
        path,
        picture("png", bomb(60_000, 60_000)),
        picture("png2", bomb(10_000, 10_000, 10_000)),
        picture("cut", bomb(4000, 4000, 10)),
        picture("jpeg", jpeg_bomb()),
        picture("none", b""),
        picture("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        picture("flat", bomb(2**24, 1, 1)),
        promised("images", foreign.STRING, [2], string_val=[b"1", b"1"]),
    ),
    "noise pictures": lambda path: values(
        path,
        *(
            picture(f"n{n}", foreign.png(np.random.default_rng(n).integers(0, 256, (1500, 1500, 3), np.uint8)))
            for n in range(8)
        ),
    ),
    "films": lambda path: values(
        path, *(picture(f"f{n}", film(3000, 3000)) for n in range(8)), picture("g", film(60_000, 9))
    ),
    "large sounds": lambda path: values(
        path, *(sound(f"s{n}", size) for n, size in enumerate([2**23] * 6 + [2**24 + 1]))
    ),
    "large meshes": lambda path: values(
        path,
        *(
            promised("mesh", foreign.FLOAT, [1, 2**19, 3], tensor_content=bytes(3 * 2**21), tag=f"m{n}_VERTEX")
            for n in range(4)
        ),
        promised("mesh", foreign.FLOAT, [2**20, 1, 3], tensor_content=bytes(3 * 2**22), tag="batch_VERTEX"),
        promised("mesh", foreign.FLOAT, [1, 2**28, 3], float_val=[1.0], tag="huge_VERTEX"),
        promised("pr_curves", foreign.FLOAT, [6, 2**28], float_val=[1.0]),
    ),
    "large tables": lambda path: values(
        path,
        promised("text", foreign.STRING, [300, 200], string_val=[b"<b>x"] * 60_000, tag="t"),
        promised("text", foreign.STRING, [2**16, 2], string_val=[b"x"] * 2**17, tag="u"),
        promised("text", foreign.STRING, [1, 1], string_val=[b"x" * 2**24], tag="v"),
    ),
    "infinite settings": lambda path: values(path, settings(a=INFINITE, b=NAN, c=-INFINITE, d=1e300, e=2.0)),
    "damaged settings": lambda path: values(
        path, *(_damaged_settings(content) for content in (b"\xff\xff\xff", b"\x12", b"\x0a" * 2**21))
    ),
    "10^6 buckets": lambda path: _histogram(path, 10**6),
    "odd histograms": _odd_histograms,
    "large steps": _steps,
    "odd times": _times,
    "large tags": lambda path: raw(path, *LARGE_TAGS * 10),
    "long tags": lambda path: values(path, *(foreign.simple(f"{n:05}" + "x" * 16_000, 1.0) for n in range(2000))),
    "large text": lambda path: values(path, foreign.text("t", "\U0001f600" + "x" * 30_000_000), foreign.text("u", "y")),
    "no protobuf": lambda path: raw(path, b"\x3a\xff", b"\xff" * 100, b"", b"\x3a\x00", b"\x2a\x02\x0a\xff"),
}  # fmt: skip


def _damaged_settings(content: bytes) -> Any:
    value = settings()
    value.metadata.plugin_data.content = content
    return value
