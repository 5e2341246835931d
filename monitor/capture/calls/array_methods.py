"""The log calls for arrays: images, predictions, histograms, confusion matrices, and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture import encode
from monitor.capture.calls.media_methods import MediaMethods

if TYPE_CHECKING:
    from collections.abc import Sequence


class ArrayMethods(MediaMethods):
    """The log calls for arrays: they check, copy, and enqueue. A worker draws and encodes."""

    _clipped_images: set[str]  # the tags whose clipped values were told

    def images(self, tag: str, images: Any, step: int | None = None, *, normalize: bool = False) -> None:
        """Show images in a grid, or one picture. Does not block.

        Args:
            tag: names the grid.
            images: an array or tensor, N×C×H×W with 1, 3, or 4 channels (gray, RGB, RGBA) or N×H×W; or one picture,
                C×H×W, H×W×C, or H×W. Of three dimensions, a first one of 1, 3, or 4 is channels, and so is a last one.
                uint8, bool, or float in [0, 1]. Floats are clipped to that range, which is told once per tag, and NaN
                is black. The first 256 images are shown.
            step: an integer of at most 64 bits. Without one, it is the highest step of the scalars of the same group;
                without any, that of all scalars; and without any of those, the calls of the tag are counted.
            normalize: show the lowest value of the call as black and the highest as white, as for images that were
                standardized for a model.

        Raises:
            TypeError: if `images` is not an array or has another dtype.
            ValueError: if it has another shape, is empty, or could be C×H×W as well as H×W×C.
        """
        self._measure(encode.images, tag, images, step, normalize, self._clipped_images)

    def predictions(
        self,
        tag: str,
        images: Any,
        predicted: Any,
        target: Any,
        step: int | None = None,
        names: Sequence[str] = (),
        *,
        normalize: bool = False,
    ) -> None:
        """Show images with their predicted and true classes; incorrect predictions are marked. Does not block.

        Args:
            tag: names the grid.
            images: N images, N×C×H×W or N×H×W, with values as in `images`.
            predicted: the N predicted classes, integers.
            target: the N true classes, integers.
            step: as in `images`.
            names: the names of the classes, in their order. A class without a name is shown as its number.
            normalize: as in `images`.

        Raises:
            TypeError: if an argument has another dtype, or a class name is not text.
            ValueError: if an argument has another shape.
        """
        self._measure(encode.predictions, tag, images, predicted, target, step, names, normalize, self._clipped_images)

    def histogram(self, tag: str, values: Any, step: int | None = None) -> None:
        """Show the distribution of values. Does not block.

        Args:
            tag: names the histogram.
            values: an array or tensor of real numbers, of any shape, not empty. NaN and infinity are left out of the
                histogram.
            step: as in `images`.

        Raises:
            TypeError: if `values` is not an array of real numbers.
            ValueError: if it is empty.
        """
        self._measure(encode.histogram, tag, values, step)

    def confusion_matrix(self, tag: str, counts: Any, step: int | None = None, names: Sequence[str] = ()) -> None:
        """Show a confusion matrix. Does not block.

        Args:
            tag: names the matrix.
            counts: K×K integers: how many samples of the row's class were predicted as the column's class.
            step: as in `images`.
            names: the names of the classes, as in `predictions`.

        Raises:
            TypeError: if `counts` does not contain integers, or a class name is not text.
            ValueError: if it is not a square matrix.
        """
        self._measure(encode.confusion_matrix, tag, counts, step, names)

    def curve(
        self,
        tag: str,
        x: Any,
        y: Any,
        step: int | None = None,
        x_title: str = "x",
        y_title: str = "y",
        *,
        level: float | None = None,
        points: tuple[Any, Any] | None = None,
    ) -> None:
        """Show an x–y plot; the next call with the same tag replaces it. Does not block.

        Args:
            tag: names the plot.
            x: an array or tensor of real numbers.
            y: the same number of values.
            step: as in `images`.
            x_title: the label of the x axis.
            y_title: the label of the y axis.
            level: draws a horizontal line at this height.
            points: x and y of data points to show with the curve.

        Raises:
            TypeError: if `x`, `y`, `points`, or `level` are not real numbers, or a title is not text.
            ValueError: if `x` and `y` are empty or differ in shape, or `level` is not finite.
        """
        self._measure(encode.curve, tag, x, y, step, x_title, y_title, level, points)
