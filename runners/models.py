"""The models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class MLP(nn.Sequential):
    """Fully connected layers with an activation after each but the last: N×inputs float to N×classes logits."""

    def __init__(self, inputs: int, hidden: Sequence[int], classes: int, activation: str = "relu") -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (here, there) in enumerate(pairwise([inputs, *hidden, classes]), start=1):
            layers[f"fc{number}"] = nn.Linear(here, there)
            if number <= len(hidden):
                layers[activation.replace("-", "_") + str(number)] = ACTIVATIONS[activation]()
        super().__init__(layers)
