"""Log the weights and gradients of a model after the steps of its optimizer, without waiting for a GPU.

Nothing is attached to the model, so it is copied, pickled, compiled, and freed as before. One hook sees the steps of
all optimizers of this process, and stays: the hooks are a dict that must not change while an optimizer goes through it.
"""

from __future__ import annotations

import logging
import sys
import weakref
from math import gcd
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.capture import encode, validation
from monitor.capture.calls.measured_calls import MeasuredCalls

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("monitor")

MAX_HISTOGRAM_VALUES = 2**14  # of one tensor; of a larger one, evenly spaced values are taken
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # parts of names that wrappers add
_watches: tuple[ModelWatch, ...] = ()
_is_hooked = False


class WatchOptions(NamedTuple):
    """What is logged of a model; as in `WatchMethods.watch`."""

    every: int
    gradients: bool
    weights: bool
    histograms: bool
    name: str


class WatchMethods(MeasuredCalls):
    """The log calls that watch models."""

    run: Any
    _watches_models = True  # false where everything that is logged is dropped

    def _check_open(self) -> None:
        """Raise `RuntimeError` if nothing more can be logged."""

    def watch(
        self,
        model: Any,
        every: int = 100,
        *,
        gradients: bool = True,
        weights: bool = True,
        histograms: bool = True,
        name: str = "",
    ) -> None:
        """Log norms and histograms of the weights and gradients of a model every `every` steps of its optimizer.

        Call it once, before the training. What is logged is the state right after `optimizer.step()`, for any optimizer
        of `torch.optim` or a subclass: the weights after the update, and the gradients that it used, accumulated,
        unscaled, and clipped. The first step is step 0; a resumed run continues from the step of its checkpoint. The
        model can still be copied, pickled, compiled, and freed. Does not block: on a GPU, everything is computed and
        copied there.

        The L2 norms are curves under `norm/weights/…` and `norm/gradients/…`; `norm/weights` and `norm/gradients` are
        those of all parameters together, if one optimizer has them all. The histograms are under `weights/…` and
        `gradients/…`; of a tensor with more than 16,384 values, they show that many of them.

        Args:
            model: a `torch.nn.Module`, also compiled or wrapped for several processes. Watching it again replaces the
                earlier options.
            every: steps from one to the next.
            gradients: whether gradients are logged; those that are None, or sparse and on a GPU, are left out.
            weights: whether weights are logged.
            histograms: whether histograms are logged beside the norms.
            name: put before the names of the parameters, with a `/`, to tell several models apart.

        Raises:
            TypeError: if `model` is not a module, or `every` not an int.
            ValueError: if `every` is less than 1, the model has no parameters, or nothing of them is to be logged.
            RuntimeError: if the logger is closed.
        """
        module = getattr(sys.modules.get("torch.nn"), "Module", None)
        if module is None or not isinstance(model, module):
            raise TypeError(f"watch takes a torch.nn.Module, not {type(model).__name__}")
        if validation.step(every, "every") < 1:
            raise ValueError(f"every must be 1 or more, not {every}")
        if not (weights or gradients):
            raise ValueError("watch needs weights=True or gradients=True; with neither, nothing is logged")
        if next(model.parameters(), None) is None:
            raise ValueError(f"watch needs a model with parameters; {type(model).__name__} has none")
        if name:
            validation.tag(name, set())
        self._check_open()
        if self._watches_models:
            self.unwatch(model)
            _add(ModelWatch(self, model, WatchOptions(every, gradients, weights, histograms, name)))

    def unwatch(self, model: Any = None) -> None:
        """Stop watching a model; by default, all models that this logger watches."""
        global _watches
        _watches = tuple(watch for watch in _watches if not watch.is_of(self, model))


class ModelWatch:
    """Logs one model."""

    def __init__(self, logger: WatchMethods, model: Any, options: WatchOptions) -> None:
        self._logger, self._model, self._options = weakref.ref(logger), weakref.ref(model), options
        self._is_wrapped = type(model).__name__ in ("DistributedDataParallel", "DataParallel")
        self._first: weakref.WeakKeyDictionary[Any, str | None] = weakref.WeakKeyDictionary()  # see `_first_name`
        self._steps: dict[str, int] = {}  # so far, by the first parameter of the optimizer

    def is_of(self, logger: WatchMethods, model: Any) -> bool:
        """Tell whether it belongs to this logger and model, or any model for None; or to what is gone."""
        own, watched = self._logger(), self._model()
        return own is None or watched is None or (own is logger and model in (None, watched))

    def after_step(self, optimizer: Any) -> None:
        """Log what the step of an optimizer has changed, if it is one of this model and its turn."""
        logger, model = self._logger(), self._model()
        if logger is None or model is None:
            return
        first = self._first_name(optimizer, model)
        if first is None:
            return
        step = self._steps.get(first, logger.run.first_step)
        self._steps[first] = step + 1
        if step % self._options.every == 0 and not _is_capturing():
            logger._measure(self._entries, optimizer, model, step)  # noqa: SLF001 - a log call of that logger

    def _first_name(self, optimizer: Any, model: Any) -> str | None:
        """Return the name of the optimizer's first parameter that is one of the model, None without any.

        A later optimizer for the same parameters continues their count of steps.
        """
        if optimizer not in self._first:
            names = self._names(model)
            found = (names[id(parameter)] for parameter in _parameters(optimizer) if id(parameter) in names)
            self._first[optimizer] = next(found, None)
        return self._first[optimizer]

    def _entries(self, known_tags: set[str], optimizer: Any, model: Any, step: int) -> encode.Entries:
        """Encode the weights and the gradients of the parameters that an optimizer updates."""
        names, options = self._names(model), self._options
        owned = [parameter for parameter in _parameters(optimizer) if id(parameter) in names]
        trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
        has_all = trained <= {id(parameter) for parameter in owned}
        sources: dict[str, list[Any]] = {}
        if options.weights:
            sources["weights"] = owned
        if options.gradients:
            sources["gradients"] = [parameter.grad for parameter in owned]
        prefix = f"/{options.name}" if options.name else ""
        norms: dict[str, Any] = {}
        entries: list[Any] = []
        for kind, source in sources.items():
            values = {names[id(parameter)]: _local_values(tensor) for parameter, tensor in zip(owned, source)}
            tensors = {name: tensor for name, tensor in values.items() if tensor is not None}
            found = {name: _norm(tensor) for name, tensor in tensors.items()}
            if has_all and len({norm.device.type for norm in found.values()}) == 1:
                norms[f"norm/{kind}{prefix}"] = _total(list(found.values()))
            norms |= {f"norm/{kind}{prefix}/{name}": norm for name, norm in found.items()}
            if options.histograms:
                for name, tensor in tensors.items():
                    entries += encode.histogram(known_tags, f"{kind}{prefix}/{name}", _sample(tensor), step)
        return [*encode.scalars(known_tags, norms, step), *entries]

    def _names(self, model: Any) -> dict[int, str]:
        """Return the names of the parameters by their ids, without what wrappers add."""
        names = {}
        for name, parameter in model.named_parameters():
            parts = [part for part in name.split(".") if part not in WRAPPERS]
            names[id(parameter)] = ".".join(parts[1:] if self._is_wrapped and len(parts) > 1 else parts)
        return names


def _add(watch: ModelWatch) -> None:
    global _watches, _is_hooked
    _watches = (*_watches, watch)
    if not _is_hooked:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        _is_hooked = True
        register_optimizer_step_post_hook(_after_step)


def _after_step(optimizer: Any, _args: Any, _kwargs: Any) -> None:
    """Show the step to all watches; one that fails ends, and the training goes on."""
    if not _watches or _is_compiling():
        return
    for watch in _watches:
        try:
            watch.after_step(optimizer)
        except Exception as error:
            _remove(watch)
            log.warning("a model is no longer watched: %s: %s", type(error).__name__, " ".join(str(error).split()))


def _remove(watch: ModelWatch) -> None:
    global _watches
    _watches = tuple(other for other in _watches if other is not watch)


def _is_compiling() -> bool:
    import torch

    return torch.compiler.is_compiling()


def _is_capturing() -> bool:
    """Tell whether a CUDA graph is being captured, which would contain what is logged."""
    import torch

    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]


def _parameters(optimizer: Any) -> Iterator[Any]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _local_values(tensor: Any) -> Any:
    """Return the values of a weight or a gradient that this process has; None if there are none to log."""
    if tensor is None:
        return None
    tensor = tensor.detach()
    if callable(getattr(tensor, "to_local", None)):  # a shard of FSDP; other processes do not take part
        tensor = tensor.to_local()
    if tensor.is_sparse:
        if tensor.is_cuda:
            return None  # adding up its duplicates would wait for the GPU
        tensor = tensor.coalesce().values()
    return tensor if tensor.is_floating_point() and tensor.numel() else None


def _norm(tensor: Any) -> Any:
    import torch

    return torch.linalg.vector_norm(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))


def _total(norms: list[Any]) -> Any:
    import torch

    return torch.linalg.vector_norm(torch.stack([norm.to(norms[0], non_blocking=True) for norm in norms]))


def _sample(tensor: Any) -> Any:
    """Return the values of a tensor, or evenly spaced ones from all of its columns if there are too many."""
    values = tensor.reshape(-1)
    stride = -(-len(values) // MAX_HISTOGRAM_VALUES)
    while gcd(stride, tensor.shape[-1] if tensor.ndim else 1) > 1:
        stride += 1
    return values[::stride]
