"""Names of the parts that the command line offers, without torch."""

from __future__ import annotations

# Names alone, so that `--help` is there without torch; the tests compare them with the parts themselves.
ACTIVATIONS = (
    "relu", "leaky-relu", "selu", "softplus", "elu", "tanh", "sigmoid", "relu6", "celu", "gelu", "silu", "mish",
    "prelu", "rrelu", "hardtanh", "hardswish", "hardsigmoid", "logsigmoid", "softsign", "softshrink", "hardshrink",
    "tanhshrink",
)  # fmt: skip
OPTIMIZERS = (
    "sgd", "adam", "adamw", "adamax", "adagrad", "adadelta", "asgd", "lbfgs", "rmsprop", "rprop", "nadam", "radam",
    "adafactor",
)  # fmt: skip
LOSSES = (
    "log", "l1", "l2", "expectation", "regularised-expectation", "chebyshev", "hinge", "hinge2", "hinge3", "log2",
    "tanimoto", "cauchy-schwarz", "mse",
)  # fmt: skip
INITS = ("default", "kaiming", "xavier", "normal")
IMAGES = ("mnist", "fashion-mnist", "kmnist", "cifar10", "digits")
