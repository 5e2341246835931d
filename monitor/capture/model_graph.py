"""Trace a model of PyTorch and encode its graph for TensorBoard, during the call, because the trace runs the model."""

from __future__ import annotations

import sys
import warnings
from time import time
from typing import TYPE_CHECKING, Any

from monitor.capture.pending import PendingRecord
from monitor.records import Summary

if TYPE_CHECKING:
    from monitor.capture.encode import Entries

GRAPH_TAG = "graph"  # TensorBoard shows one graph of a run


def graph(_known_tags: set[str], model: Any, inputs: Any) -> Entries:
    """Trace `model` and encode its graph. Neither its mode nor the state of the random numbers changes."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise TypeError(f"a graph needs a torch.nn.Module, not {type(model).__name__}")
    from torch.utils.tensorboard._pytorch_graph import graph as trace

    devices = sorted({parameter.get_device() for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants in the trace, and of its age
        try:
            graph_def, _ = trace(model, inputs, use_strict_trace=False)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise ValueError(" ".join(f"the model cannot be traced: {error}".split())[:500]) from error
    now, content = time(), graph_def.SerializeToString()

    def build() -> Summary:
        from tensorboard.compat.proto.event_pb2 import Event

        return Summary(GRAPH_TAG, Event(wall_time=now, graph_def=content).SerializeToString(), 0, now)

    return (PendingRecord(Summary, GRAPH_TAG, len(content), build),)
