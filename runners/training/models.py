"""The models, and how their weights start."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu6": nn.ReLU6,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "rrelu": nn.RReLU,
    "hardtanh": nn.Hardtanh,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "logsigmoid": nn.LogSigmoid,
    "softsign": nn.Softsign,
    "softshrink": nn.Softshrink,
    "hardshrink": nn.Hardshrink,
    "tanhshrink": nn.Tanhshrink,
}

INITS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "default": None,  # that of nn.Linear
    "kaiming": nn.init.kaiming_normal_,
    "xavier": nn.init.xavier_normal_,
    "normal": nn.init.normal_,  # deviation 1 whatever the width, so that activations grow from layer to layer
}


class MLP(nn.Sequential):
    """Fully connected layers with an activation after each but the last: N×inputs float to N×classes logits.

    `dropout` is the share of activations left out in training; `activate_output` puts the activation after the last
    layer too.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        activation: str = "relu",
        *,
        dropout: float = 0.0,
        activate_output: bool = False,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (here, there) in enumerate(pairwise([inputs, *hidden, classes]), start=1):
            layers[f"fc{number}"] = nn.Linear(here, there)
            inner = number <= len(hidden)
            if inner or activate_output:
                layers[activation.replace("-", "_") + str(number)] = ACTIVATIONS[activation]()
            if inner and dropout:
                layers[f"dropout{number}"] = nn.Dropout(dropout)
        super().__init__(layers)


def initialize_weights(model: nn.Module, name: str) -> None:
    """Draw the weights of all linear layers as `name` says, with biases of zero; `default` leaves them as they are."""
    draw = INITS[name]
    if draw is None:
        return
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            draw(layer.weight)
            nn.init.zeros_(layer.bias)
