"""Names of what the command line offers; the parts themselves need torch, which `--help` does not load."""

from __future__ import annotations

# A test compares these with the parts themselves.
ACTIVATIONS = (
    "relu", "leaky-relu", "selu", "softplus", "elu", "tanh", "sigmoid", "relu6", "celu", "gelu", "silu", "mish",
    "prelu", "rrelu", "hardtanh", "hardswish", "hardsigmoid", "logsigmoid", "softsign", "softshrink", "hardshrink",
    "tanhshrink", "threshold", "softmax", "softmin", "log-softmax", "softmax2d",
)  # fmt: skip
OPTIMIZERS = (
    "sgd", "adam", "adamw", "adamax", "adagrad", "adadelta", "asgd", "lbfgs", "rmsprop", "rprop", "nadam", "radam",
    "adafactor",
)  # fmt: skip
LOSSES = (
    "log", "l1", "l2", "expectation", "regularized-expectation", "chebyshev", "hinge", "hinge2", "hinge3", "log2",
    "tanimoto", "cauchy-schwarz", "mse", "hinge-margin-1", "nll", "bce", "kl-div", "poisson-nll", "smooth-l1", "huber",
    "soft-margin", "multi-margin", "multilabel-margin", "multilabel-soft-margin", "hinge-embedding", "cosine-embedding",
    "margin-ranking", "triplet-margin",
)  # fmt: skip
INITS = ("default", "kaiming", "xavier", "normal")
RENAMED_LOSSES = {"regularised-expectation": "regularized-expectation"}  # still accepted
IMAGE_DATASETS = ("mnist", "fashion-mnist", "kmnist", "cifar10", "digits")
