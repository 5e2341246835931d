"""The functions of tensorboardX and of `torch.utils.tensorboard` that build summaries.

Both packages build the same kinds of summaries, in slightly different ways. What a writer puts into its files is built
by the package that it stands in for.
"""

from __future__ import annotations

import importlib
from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.summaries import films

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

TORCH, TENSORBOARDX = "torch", "tensorboardX"
_SUMMARIES = {TORCH: "torch.utils.tensorboard.summary", TENSORBOARDX: "tensorboardX.summary"}
_CONVERSIONS = {TORCH: "torch.utils.tensorboard._convert_np", TENSORBOARDX: "tensorboardX.x2num"}
REFUSALS = (AssertionError, AttributeError, NotImplementedError, TypeError, ValueError)


class Builders:
    """Build summaries with the packages `names`; the second one builds what the first one refuses.

    Importing the packages takes a second, so it happens at the first use.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    @property
    def main(self) -> str:
        """The package that is asked first."""
        return self.names[0]

    def candidates(self, function: str) -> list[Callable[..., Any]]:
        """Return the functions of this name in `summary`, of each package that has one; for films one that works."""
        if function == "video" and not films.is_moviepy_there():
            return [self._film]
        found = [getattr(_module(_SUMMARIES[name]), function, None) for name in self.names]
        return [candidate for candidate in found if candidate is not None]

    def call(self, function: str, *arguments: Any, **options: Any) -> Any:
        """Build a summary now. Raises what the first package raises, if each of them refuses the arguments."""
        return first_that_accepts(self.candidates(function), *arguments, **options)

    def _film(self, tag: str, tensor: Any, *arguments: Any, **options: Any) -> Any:
        return films.video(self.clean_tag(tag), self.make_np(tensor), *arguments, **options)

    def make_np(self, value: Any) -> Any:
        """Convert a value to a NumPy array, as the packages do. Waits for a GPU. Raises what they raise."""
        return first_that_accepts([_module(_CONVERSIONS[name]).make_np for name in self.names], value)

    def clean_tag(self, tag: str) -> str:
        """Return the tag of a scalar as it is in the file: tensorboardX replaces some characters."""
        if self.main == TENSORBOARDX:
            return str(vars(_module(_SUMMARIES[TENSORBOARDX]))["_clean_tag"](tag))
        return tag


def first_that_accepts(candidates: list[Callable[..., Any]], *arguments: Any, **options: Any) -> Any:
    """Return the result of the first function that does not refuse the arguments; raise the first refusal."""
    refusal: Exception | None = None
    for candidate in candidates:
        try:
            return candidate(*arguments, **options)
        except REFUSALS as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


class _Installed(Builders):
    """Build summaries with PyTorch's functions first, if it is installed, and then with tensorboardX's."""

    def __init__(self) -> None:
        """Look for PyTorch at the first use."""

    @cached_property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return (TORCH, TENSORBOARDX) if find_spec("torch") is not None else (TENSORBOARDX,)


EITHER = _Installed()  # for a writer that stands in for either package


@lru_cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(name)
