"""Encode sound as WAV files and films as animated GIF files."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageSequence

from monitor.render.pictures.images import PngImage, to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode_wav(samples: NDArray[Any], sample_rate: int) -> bytes:
    """Return T×C samples, int16 or float in [-1, 1], as a WAV file of 16 bits."""
    if samples.dtype != np.int16:
        clipped = np.nan_to_num(np.clip(samples.astype(np.float32), -1, 1), nan=0)
        samples = np.round(clipped * 32767).astype(np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
    return file.getvalue()


def encode_gif(frames: NDArray[np.uint8], fps: float) -> bytes:
    """Return T×C×H×W frames as an animated GIF file, which repeats. Its clock counts hundredths of a second."""
    pictures = [Image.fromarray(frame) for frame in to_rgb(frames)]
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=max(10, round(1000 / fps, -1)),
        loop=0,
        disposal=1,
        optimize=False,
    )
    return file.getvalue()


def enlarged(image: PngImage, factor: int) -> PngImage:
    """Return a PNG image or an animated GIF with each pixel as a square of `factor`×`factor` pixels."""
    width, height = image.width * factor, image.height * factor
    file = io.BytesIO()
    with Image.open(io.BytesIO(image.png)) as source:
        frames = [frame.resize((width, height), Image.Resampling.NEAREST) for frame in ImageSequence.Iterator(source)]
        if source.format == "GIF":
            options = {"duration": source.info.get("duration", 100), "loop": 0, "optimize": False}
            frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], **options)
        else:
            frames[0].save(file, "PNG")
    return PngImage(file.getvalue(), width, height, image.channels)
