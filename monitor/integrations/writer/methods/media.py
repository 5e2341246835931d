"""The methods of a `SummaryWriter` for images, sounds, texts, and distributions."""

from __future__ import annotations

import logging
from typing import Any

from monitor.integrations.writer.methods import figures
from monitor.integrations.writer.methods.base import WriterMethods
from monitor.integrations.writer.summaries import capture, plain
from monitor.integrations.writer.summaries.builders import TENSORBOARDX, TORCH, Builders
from monitor.integrations.writer.summaries.encoding import summary_record
from monitor.records import Summary

log = logging.getLogger("monitor")


class MediaMethods(WriterMethods):
    """Each copies what could change and returns; see `torch.utils.tensorboard` for what the arguments mean."""

    default_bins: list[float]

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Add the distribution of an array; `bins` is as in `numpy.histogram`."""
        if not isinstance(bins, str | int):
            bins = tuple(bins.tolist() if hasattr(bins, "tolist") else bins)
        options = {"bins": self.default_bins if bins == "tensorflow" else bins, "max_bins": max_bins}
        self._add("histogram", tag, [values], options, (bins, max_bins), global_step, walltime)

    def add_histogram_raw(
        self,
        tag: str,
        min: Any,
        max: Any,
        num: Any,
        sum: Any,
        sum_squares: Any,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add a distribution of which the buckets are known."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        if type(tag) is str and tag.isascii() and type(bucket_limits) is type(bucket_counts) is list:
            numbers = (min, max, num, sum, sum_squares, *bucket_limits, *bucket_counts)
            if plain.are_numbers(numbers):
                self._add_later(capture.histogram_raw, tag, numbers, 8 * len(numbers), global_step, walltime)
                return
        arguments = (min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._add_now("histogram_raw", tag, global_step, walltime, tag, *arguments)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Add an image: uint8, or float in [0, 1]."""
        self._add("image", tag, [img_tensor], {"dataformats": dataformats}, dataformats, global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Add a grid of images; a list of images of one size has `dataformats` "CHW" or "HWC"."""
        if isinstance(img_tensor, list) and TENSORBOARDX in self._builders.names:
            if dataformats.upper() not in ("CHW", "HWC"):
                log.warning("%s: a list of images needs dataformats CHW or HWC; nothing is written", tag)
                return
            img_tensor, dataformats = _stack(img_tensor), f"N{dataformats}"
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        rescale: Any = 1,
        dataformats: Any = "CHW",
        labels: Any = None,
    ) -> None:
        """Add an image with boxes drawn on it; `box_tensor` is N×4: xmin, ymin, xmax, ymax."""
        if isinstance(rescale, str):  # tensorboardX's sixth and seventh
            rescale, dataformats, labels = 1, rescale, labels if dataformats == "CHW" else dataformats
        if labels is not None:
            labels = [labels] if isinstance(labels, str) else list(labels)
            if len(labels) != box_tensor.shape[0]:
                log.warning(
                    "%s: there are %s labels for %s boxes; they are left out", tag, len(labels), len(box_tensor)
                )
                labels = None
        options = {"rescale": rescale, "dataformats": dataformats, "labels": labels}
        key = (rescale, dataformats, None if labels is None else tuple(labels))
        self._add("image_boxes", tag, [img_tensor, box_tensor], options, key, global_step, walltime)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """Add a matplotlib figure, or a list of figures; the figure may be changed afterwards."""
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        nbytes, draw = figures.capture(figure, close, _draw_now)
        [build, *_] = self._builders.candidates("image")
        dataformats = "NCHW" if isinstance(figure, list) else "CHW"

        def resolve() -> Summary:
            return summary_record(tag, build(tag, draw(), dataformats=dataformats), step, now)

        writer.put(capture.later, Summary, tag, nbytes, resolve)

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: Any = None,
        fps: Any = 4,
        walltime: float | None = None,
        dataformats: str = "NTCHW",
    ) -> None:
        """Add an animation: uint8, or float in [0, 1]. With moviepy, it is the packages' own."""
        builders, options = self._builders, {"fps": fps}
        if builders.names != (TORCH,):
            builders = Builders((TENSORBOARDX,))  # it knows moviepy 2, and other data formats
            options["dataformats"] = dataformats
        self._add("video", tag, [vid_tensor], options, (fps, dataformats), global_step, walltime, builders)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: Any = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Add a sound with values in [-1, 1]: L, or L×C where tensorboardX builds it."""
        self._add("audio", tag, [snd_tensor], {"sample_rate": sample_rate}, sample_rate, global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None) -> None:
        """Add a text, which TensorBoard renders as Markdown."""
        if type(tag) is not str or type(text_string) is not str:
            self._add_now("text", tag, global_step, walltime, tag, text_string)
            return
        nbytes = len(tag.encode()) + len(text_string.encode())  # fails as the packages do, for a lone surrogate
        self._add_later(capture.text, tag, (text_string,), nbytes, global_step, walltime)

    def add_tensor(self, tag: str, tensor: Any, global_step: Any = None, walltime: float | None = None) -> None:
        """Add a tensor as it is. Needs torch."""
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        writer.put(capture.tensor, tag, tensor, step, now)


def _stack(images: list[Any]) -> Any:
    """Stack a list of arrays or tensors, as tensorboardX does."""
    try:
        import torch

        return torch.stack(images, 0)
    except (ImportError, TypeError):
        import numpy as np

        return np.stack(images, 0)


def _draw_now(figure: Any, close: bool) -> Any:
    """Draw a figure as the packages do; raise what they raise."""
    from tensorboardX.utils import figure_to_image

    return figure_to_image(figure, close)
