"""The multilayer perceptron, its activations, and the initialization of its weights."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ChannelSoftmax(nn.Softmax2d):
    """`Softmax2d` for N×D features: they are the D channels of a picture of one pixel."""

    def forward(self, features: Tensor) -> Tensor:
        """Return N×D values that sum to 1 over D."""
        return super().forward(features[:, :, None, None])[:, :, 0, 0]


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
    "threshold": partial(nn.Threshold, 0.1, 0.0),  # x where it is above 0.1, else 0
    "softmax": partial(nn.Softmax, dim=1),
    "softmin": partial(nn.Softmin, dim=1),
    "log-softmax": partial(nn.LogSoftmax, dim=1),
    "softmax2d": ChannelSoftmax,
}

INITS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "default": None,  # that of nn.Linear
    "kaiming": nn.init.kaiming_normal_,
    "xavier": nn.init.xavier_normal_,
    "normal": nn.init.normal_,  # deviation 1 at any width, so activations grow from layer to layer
}


class MLP(nn.Sequential):
    """Fully connected layers, with an activation after each except the last: N×inputs float to N×classes logits.

    `dropout` is the probability of zeroing an activation in training; with `activate_output` the last layer has the
    activation too.
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
        for number, (width_in, width_out) in enumerate(pairwise([inputs, *hidden, classes]), start=1):
            layers[f"fc{number}"] = nn.Linear(width_in, width_out)
            is_hidden = number <= len(hidden)
            if is_hidden or activate_output:
                layers[activation.replace("-", "_") + str(number)] = ACTIVATIONS[activation]()
            if is_hidden and dropout:
                layers[f"dropout{number}"] = nn.Dropout(dropout)
        super().__init__(layers)


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable numbers in a model: 26 for an MLP with layers of 3, 4, and 2."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def initialize_weights(model: nn.Module, name: str) -> None:
    """Initialize the weights of all linear layers by `name`, and their biases to 0; `default` changes nothing."""
    initialize = INITS[name]
    if initialize is None:
        return
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            initialize(layer.weight)
            nn.init.zeros_(layer.bias)


def set_parameters(layer: nn.Linear, weight: float | None, bias: float | None) -> None:
    """Set all weights and all biases of a layer to these values; None leaves them as they are."""
    for parameter, value in ((layer.weight, weight), (layer.bias, bias)):
        if value is not None:
            nn.init.constant_(parameter, value)
