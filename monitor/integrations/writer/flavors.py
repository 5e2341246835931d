"""A `SummaryWriter` with the exact signatures of each package, for scripts and frameworks that import that one."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.global_writer import GlobalSummaryWriter
from monitor.integrations.writer.summaries.builders import TENSORBOARDX, TORCH, Builders
from monitor.integrations.writer.summary_writer import SummaryWriter, is_remote

if TYPE_CHECKING:
    from collections.abc import Mapping

_torch_builders, _tensorboardx_builders = Builders((TORCH,)), Builders((TENSORBOARDX,))


class TorchSummaryWriter(SummaryWriter):
    """Stand in for `torch.utils.tensorboard.SummaryWriter`."""

    _builders = _torch_builders
    _keeps_scalars = False  # PyTorch's has no `export_scalars_to_json`

    def __new__(cls, log_dir: Any = None, *_arguments: Any, **_options: Any) -> TorchSummaryWriter:
        """Return a stock writer for a directory that ours cannot write to."""
        if cls is TorchSummaryWriter and is_remote(log_dir):
            return _stock("torch.utils.tensorboard.writer")(log_dir, *_arguments, **_options)  # type: ignore[no-any-return]
        return super().__new__(cls)

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        **options: Any,
    ) -> None:
        """Make the directory; `options` are the keyword arguments of `monitor.SummaryWriter`."""
        super().__init__(log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, **options)

    def add_scalar(  # type: ignore[override]
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
        **options: str,
    ) -> None:
        """Add a point to a curve; see `SummaryWriter.add_scalar`."""
        super().add_scalar(tag, scalar_value, global_step, walltime, new_style, double_precision, **options)

    def add_hparams(  # type: ignore[override]
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None,
        run_name: str | None = None,
        global_step: Any = None,
    ) -> None:
        """Add hyperparameters and metrics to this run; see `SummaryWriter.add_hparams`."""
        super().add_hparams(hparam_dict, metric_dict, hparam_domain_discrete, run_name, global_step)

    def add_onnx_graph(self, prototxt: Any) -> None:  # type: ignore[override]
        """Add the graph of an ONNX file. Needs onnx."""
        super().add_onnx_graph(prototxt)


class TensorBoardXSummaryWriter(SummaryWriter):
    """Stand in for `tensorboardX.SummaryWriter`."""

    _builders = _tensorboardx_builders

    def __new__(cls, logdir: Any = None, *_arguments: Any, **_options: Any) -> TensorBoardXSummaryWriter:
        """Return a stock writer for a directory that ours cannot write to."""
        if cls is TensorBoardXSummaryWriter and is_remote(logdir or _options.get("log_dir")):
            return _stock("tensorboardX.writer")(logdir, *_arguments, **_options)  # type: ignore[no-any-return]
        return super().__new__(cls)

    def _series_directory(self, logdir: str, main_tag: str, tag: str) -> str:
        return f"{logdir}/{main_tag}/{tag}"

    def add_scalar(  # type: ignore[override]
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        display_name: str = "",
        summary_description: str = "",
    ) -> None:
        """Add a point to a curve; see `SummaryWriter.add_scalar`."""
        super().add_scalar(
            tag,
            scalar_value,
            global_step,
            walltime,
            display_name=display_name,
            summary_description=summary_description,
        )

    def add_hparams(  # type: ignore[override]
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        name: str | None = None,
        global_step: Any = None,
    ) -> None:
        """Add hyperparameters and metrics to this run; see `SummaryWriter.add_hparams`."""
        super().add_hparams(hparam_dict, metric_dict, name=name, global_step=global_step)

    def add_image_with_boxes(  # type: ignore[override]
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
        labels: Any = None,
        **kwargs: Any,
    ) -> None:
        """Add an image with boxes drawn on it; see `SummaryWriter.add_image_with_boxes`."""
        options = {"dataformats": dataformats, "labels": labels, **kwargs}
        super().add_image_with_boxes(tag, img_tensor, box_tensor, global_step, walltime, **options)

    def add_onnx_graph(self, onnx_model_file: Any) -> None:  # type: ignore[override]
        """Add the graph of an ONNX file. Needs onnx."""
        super().add_onnx_graph(onnx_model_file)


class TensorBoardXGlobalSummaryWriter(GlobalSummaryWriter):
    """Stand in for `tensorboardX.GlobalSummaryWriter`."""

    writer_class = TensorBoardXSummaryWriter


_REPLACEMENTS: Mapping[str, Mapping[str, type]] = {
    "torch.utils.tensorboard": {"SummaryWriter": TorchSummaryWriter},
    "torch.utils.tensorboard.writer": {"SummaryWriter": TorchSummaryWriter},
    "tensorboardX": {
        "SummaryWriter": TensorBoardXSummaryWriter,
        "GlobalSummaryWriter": TensorBoardXGlobalSummaryWriter,
    },
    "tensorboardX.writer": {"SummaryWriter": TensorBoardXSummaryWriter},
    "tensorboardX.global_writer": {
        "SummaryWriter": TensorBoardXSummaryWriter,
        "GlobalSummaryWriter": TensorBoardXGlobalSummaryWriter,
    },
}
_stock_classes: dict[str, Any] = {}  # by their full names: the classes that were replaced
_PACKAGES = ("torch.utils.tensorboard", "tensorboardX")
REPLACED_MODULES = tuple(name for name in _REPLACEMENTS if name not in _PACKAGES)  # the packages import from these


def _stock(module: str) -> Any:
    """Return the `SummaryWriter` that a module had before it was replaced."""
    found = importlib.import_module(module).SummaryWriter
    return _stock_classes.get(f"{module}.SummaryWriter", found)


def install(*, load: bool = False) -> None:
    """Replace the `SummaryWriter` of `torch.utils.tensorboard` and of `tensorboardX` for the rest of the process.

    What a module has imported from them before keeps the stock class. An import hook may call it after it has executed
    one of `REPLACED_MODULES`, while the package is still being imported. Idempotent.

    Args:
        load: whether to import both packages first, if they are installed; otherwise only what is loaded is changed.
    """
    for name, classes in _REPLACEMENTS.items():
        if load and name in _PACKAGES:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
        module = sys.modules.get(name)
        for attribute, replacement in classes.items():
            stock = getattr(module, attribute, replacement)  # there is none yet in a module that is being imported
            if stock is not replacement:
                _stock_classes.setdefault(f"{name}.{attribute}", stock)
                setattr(module, attribute, replacement)
