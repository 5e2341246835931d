"""The course's experiments by name: what each runs, and what to look for. Names and text only; nothing is imported."""

from __future__ import annotations

from typing import NamedTuple


class Lesson(NamedTuple):
    """An experiment: its runs by name, as arguments of `monitor train`; one without runs is worked out by hand."""

    description: str  # what to look for
    runs: dict[str, str] = {}  # noqa: RUF012 - never written to
    has_images: bool = True  # whether the runs take the options that choose the images
    has_one_loss: bool = True  # whether the runs' losses can be compared


def _mlp(option: str, values: str, other_options: str = "") -> dict[str, str]:
    """Return one run of the MLP for each value of an option."""
    return {value: f"mlp --{option} {value} {other_options}".rstrip() for value in values.split()}


ADAM = "--optimizer adam --lr 0.001"
LESSONS: dict[str, Lesson] = {
    "bce-by-hand": Lesson(
        "A confident wrong answer costs most: 1.6094 for predicting 0.2 where the label is 1, 0.2231 for 0.8; "
        "mean 0.8483."
    ),
    "entropy": Lesson(
        "Four equally likely outcomes have 2 bits; 0.1, 0.1, 0.1, 0.7 only 1.3568; a certain outcome has none."
    ),
    "hours": Lesson(
        "The flat curve becomes an S that crosses 0.5 between the last fail and the first pass; 1 hour fails, 7 hours "
        "pass. The sum of the losses, hours3, learns three times as fast as their mean would.",
        {"hours": "logistic --data hours", "hours3": "logistic --data hours3"},
        has_images=False,
        has_one_loss=False,
    ),
    "lecture-lab": Lesson(
        "From zero weights the cost starts at ln 2 = 0.693147 and falls to 0.134722 at 100 epochs, 0.019852 at 1000.",
        {"lecture-lab": "logistic --data lecture-lab"},
        has_images=False,
    ),
    "diabetes": Lesson(
        "Eight features, one neuron: about 77 % correct, no better after some 30 epochs. Give the file with --csv.",
        {"diabetes": "logistic --data csv --seed 1"},
        has_images=False,
    ),
    "heart": Lesson(
        "The fitted curve passes through the prevalence of each decade; ten more years multiply the odds by 3.7.",
        {"heart": "logistic --data heart"},
        has_images=False,
    ),
    "init-matters": Lesson(
        "With weights of deviation 1 (normal) the first steps are so large that every ReLU of the output dies: the "
        "loss is stuck at ln 10 = 2.303, one in ten is correct, the gradient is 0. With kaiming the same net learns.",
        _mlp("init", "normal kaiming", "--activate-output"),
    ),
    "activations": Lesson(
        "The sigmoid's gradients vanish: its loss hardly leaves 2.3, while the ReLU family and tanh learn from the "
        "start.",
        _mlp("activation", "relu leaky-relu selu softplus elu tanh sigmoid"),
    ),
    "optimizers": Lesson(
        "Adaptive steps (adam, adamax, rmsprop, adagrad) are ahead of plain sgd in the first epoch; momentum closes "
        "the gap; rprop, made for full batches, does badly with small ones; lbfgs evaluates each batch twenty times.",
        {
            "sgd": "mlp --optimizer sgd --lr 0.01",
            "momentum": "mlp --optimizer sgd --lr 0.01 --momentum 0.9",
            "asgd": "mlp --optimizer asgd --lr 0.01",
            "adagrad": "mlp --optimizer adagrad --lr 0.01",
            "rmsprop": "mlp --optimizer rmsprop --lr 0.001",
            "adam": "mlp --optimizer adam --lr 0.001",
            "adamax": "mlp --optimizer adamax --lr 0.002",
            "rprop": "mlp --optimizer rprop --lr 0.001",
            "lbfgs": "mlp --optimizer lbfgs --lr 0.1 --batch-size 6000",
        },
    ),
    "losses": Lesson(
        "The twelve losses of Janocha & Czarnecki, and mse. Compare test/accuracy, as the losses have different units: "
        "the log and squared ones learn fastest, those linear in the probabilities start slowly and may miss a class.",
        _mlp(
            "loss",
            "log l1 l2 expectation regularized-expectation chebyshev hinge hinge2 hinge3 log2 tanimoto cauchy-schwarz "
            "mse",
            ADAM,
        ),
        has_one_loss=False,
    ),
    "cross-entropy-vs-mse": Lesson(
        "With sgd, the squared error of probabilities has tiny gradients where the net is confidently wrong; the cross "
        "entropy has large ones, and is far ahead.",
        _mlp("loss", "log mse"),
        has_one_loss=False,
    ),
    "numerical-stability": Lesson(
        "Computed by hand, the loss is infinite beyond 88, where exp overflows, and with log(softmax) beyond 103, "
        "where softmax underflows; cross entropy on logits stays exact."
    ),
    "softmax": Lesson(
        "A single layer reaches 92 % on MNIST; ten separate one-vs-rest classifiers come close.",
        {"multinomial": "logistic --data auto", "one-vs-rest": "logistic --data auto --one-vs-rest"},
        has_one_loss=False,
    ),
    "mlp": Lesson(
        "Two hidden layers beat the single layer of the softmax lesson; the images predicted wrong look ambiguous.",
        {"sgd": "mlp", "adam": f"mlp {ADAM}"},
    ),
}
