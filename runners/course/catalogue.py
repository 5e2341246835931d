"""The course's experiments by name: what each runs, and what to look for. Names and text only; nothing is imported."""

from __future__ import annotations

from typing import NamedTuple

BINARY, CLASSES, NETWORKS = "Logistic regression", "From two classes to ten", "Multilayer perceptrons"
LECTURES = (BINARY, CLASSES, NETWORKS)


class Lesson(NamedTuple):
    """An experiment: its runs by name, as arguments of `monitor train`; one without runs is worked out by hand."""

    lecture: str
    shows: str  # in one line
    seconds: int  # of one core, with MNIST where it has images
    description: str  # what to look for
    runs: dict[str, str] = {}  # noqa: RUF012 - never written to
    has_images: bool = True  # whether the runs take the options that choose the images
    has_one_loss: bool = True  # whether the runs' losses can be compared
    slide_runs: dict[str, str] = {}  # noqa: RUF012 - those of --as-on-the-slide, where it has any
    takes_values: str = ""  # an example of what a worked example computes besides its own numbers


def _mlp(option: str, values: str, other_options: str = "") -> dict[str, str]:
    """Return one run of the MLP for each value of an option."""
    return {value: f"mlp --{option} {value} {other_options}".rstrip() for value in values.split()}


ADAM = "--optimizer adam --lr 0.001"
PAPER_LOSSES = (
    "log l1 l2 expectation regularized-expectation chebyshev hinge hinge2 hinge3 log2 tanimoto cauchy-schwarz mse "
    "hinge-margin-1"
)
TORCH_LOSSES = (
    "nll bce kl-div poisson-nll smooth-l1 huber soft-margin multi-margin multilabel-margin multilabel-soft-margin "
    "hinge-embedding cosine-embedding margin-ranking triplet-margin"
)
SLIDE_START = "--initial-weight -0.76751917 --initial-bias -0.31732264"
ZEROS = "--initial-weight 0 --initial-bias 0"
WRONG_START = "--initial-weight -10 --initial-bias 0 --lr 0.1 --epochs 2000"
LESSONS: dict[str, Lesson] = {
    "bce-by-hand": Lesson(
        BINARY,
        "the loss of single predictions; takes your own, as in bce-by-hand 1:0.2 0:0.9",
        2,
        "The binary cross entropy of a prediction is −ln of the probability that it gives to the truth, so a confident "
        "wrong answer costs most.",
        takes_values="1:0.2",
    ),
    "points": Lesson(
        BINARY,
        "linear regression: points by hours of study, with the mean squared error",
        3,
        "Points are twice the hours: the line finds a slope near 2, and predicts about 8 points for 4 hours.",
        {"points": "linear"},
        has_images=False,
    ),
    "hours": Lesson(
        BINARY,
        "one weight and one bias bend a line into an S; where it crosses 0.5",
        7,
        "The probability crosses 0.5 at −b/w. After 1,000 steps that is too early, and 2 hours, a fail, is called a "
        "pass; after 3,000 steps, or with Adam, it is between the last fail and the first pass.",
        {
            "hours": "logistic --data hours",
            "hours-3000": "logistic --data hours --epochs 3000",
            "hours-adam": "logistic --data hours --optimizer adam",
            "hours3": "logistic --data hours3",
        },
        has_images=False,
        has_one_loss=False,
        slide_runs={
            "hours": f"logistic --data hours {SLIDE_START}",
            "hours3": f"logistic --data hours3 {SLIDE_START}",
        },
    ),
    "hours-optimizers": Lesson(
        BINARY,
        "the optimizers of the slide, and lbfgs, on the same four students",
        17,
        "With one learning rate, 0.01, for all: adadelta hardly leaves its start; rprop and lbfgs separate the "
        "students almost perfectly.",
        {
            name: f"logistic --data hours --optimizer {name}"
            for name in ("sgd", "adadelta", "adagrad", "adam", "adamax", "asgd", "rmsprop", "rprop", "lbfgs")
        },
        has_images=False,
    ),
    "wrong-start": Lesson(
        BINARY,
        "why not the squared error: from a wrong start it never recovers",
        8,
        "From w = −10, where every prediction is confidently wrong, the cross entropy recovers; the squared error "
        "of the probability has no gradient to leave with.",
        {"bce": f"logistic --data hours {WRONG_START}", "mse": f"logistic --data hours --loss mse {WRONG_START}"},
        has_images=False,
        has_one_loss=False,
    ),
    "lecture-lab": Lesson(
        BINARY,
        "a cost to check by hand, to six digits",
        3,
        "From zero weights the cost starts at ln 2 and falls as published.",
        {"lecture-lab": "logistic --data lecture-lab"},
        has_images=False,
        slide_runs={"lecture-lab": "logistic --data lecture-lab"},
    ),
    "diabetes": Lesson(
        BINARY,
        "eight features, one neuron, a real table; needs --csv FILE",
        3,
        "About 77% of the rows are classified correctly, hardly more than after 30 epochs. The second run starts at "
        "zero and makes 101 updates, for the evaluation of the first five rows.",
        {
            "diabetes": "logistic --data csv --seed 1",
            "from-zero": f"logistic --data csv --epochs 101 {ZEROS}",
        },
        has_images=False,
        slide_runs={
            "diabetes": "logistic --data csv --seed 1",
            "from-zero": f"logistic --data csv --epochs 101 {ZEROS}",
        },
    ),
    "heart": Lesson(
        BINARY,
        "age and heart disease: prevalence, odds, logit, odds ratio; and a straight line",
        3,
        "The fitted curve passes near the prevalence of each decade; ten more years multiply the odds by 3.7. A "
        "straight line leaves [0, 1].",
        {"heart": "logistic --data heart"},
        has_images=False,
    ),
    "entropy": Lesson(
        CLASSES,
        "bits in a draw, cross entropies; takes your own, as in entropy 0.1,0.2,0.7",
        2,
        "Equally likely outcomes have the most bits; a certain outcome has none.",
        takes_values="0.1,0.2,0.7",
    ),
    "why-not-mse": Lesson(
        CLASSES,
        "two classifiers with equal accuracy, by squared error and by cross entropy",
        2,
        "Both loss functions prefer the classifier that is clearly right.",
    ),
    "numerical-stability": Lesson(
        CLASSES,
        "where log(softmax) is infinite and the cross entropy on logits is exact",
        4,
        "Computed by hand, the loss is infinite beyond 88, where exp overflows, and with log(softmax) beyond 103, "
        "where softmax underflows; cross entropy on logits stays exact.",
    ),
    "softmax": Lesson(
        CLASSES,
        "a single layer on MNIST, and ten one-vs-rest classifiers",
        8,
        "A single layer reaches 92% on MNIST; ten separate one-vs-rest classifiers come close.",
        {"multinomial": "logistic --data auto", "one-vs-rest": "logistic --data auto --one-vs-rest"},
        has_one_loss=False,
    ),
    "cross-entropy-vs-mse": Lesson(
        CLASSES,
        "the gradient of both losses at the start, and where they lead",
        9,
        "With sgd, the squared error of probabilities has tiny gradients where the net is confidently wrong; the cross "
        "entropy has large ones, and is far ahead.",
        _mlp("loss", "log mse"),
        has_one_loss=False,
    ),
    "init-matters": Lesson(
        NETWORKS,
        "normal weights kill a network whose output has a ReLU; Kaiming's do not",
        25,
        "With weights of deviation 1 (normal) the first steps are so large that the ReLUs of the output die: the loss "
        "is stuck near ln 10 = 2.303, for every seed. With Kaiming's the same network learns, and without the "
        "activated output the one with normal weights does too.",
        {
            **{
                f"{init}-{seed}": f"mlp --init {init} --activate-output --seed {seed}"
                for init in ("normal", "kaiming")
                for seed in (0, 1, 2)
            },
            "normal-plain": "mlp --init normal",
            "kaiming-plain": "mlp --init kaiming",
        },
    ),
    "activations": Lesson(
        NETWORKS,
        "seven activations, three epochs of plain SGD",
        25,
        "The sigmoid's gradients vanish: its loss hardly leaves 2.3, while the ReLU family and tanh learn from the "
        "start.",
        _mlp("activation", "relu leaky-relu selu softplus elu tanh sigmoid"),
    ),
    "optimizers": Lesson(
        NETWORKS,
        "ten optimizers on MNIST, three epochs",
        75,
        "Adaptive steps (adam, adamax, rmsprop, adagrad) are ahead of plain sgd in the first epoch; momentum closes "
        "the gap; rprop, made for full batches, does badly with small ones; lbfgs evaluates each batch twenty times.",
        {
            "sgd": "mlp --optimizer sgd --lr 0.01",
            "momentum": "mlp --optimizer sgd --lr 0.01 --momentum 0.9",
            "asgd": "mlp --optimizer asgd --lr 0.01",
            "adadelta": "mlp --optimizer adadelta --lr 1",
            "adagrad": "mlp --optimizer adagrad --lr 0.01",
            "rmsprop": "mlp --optimizer rmsprop --lr 0.001",
            "adam": "mlp --optimizer adam --lr 0.001",
            "adamax": "mlp --optimizer adamax --lr 0.002",
            "rprop": "mlp --optimizer rprop --lr 0.001",
            "lbfgs": "mlp --optimizer lbfgs --lr 0.1 --batch-size 6000",
        },
    ),
    "losses": Lesson(
        NETWORKS,
        "the twelve losses of Janocha & Czarnecki, mse, and the hinge with margin 1",
        50,
        "Compare test/accuracy, as the losses have different units: the log and squared ones learn fastest, those "
        "linear in the probabilities start slowly and may miss a class.",
        _mlp("loss", PAPER_LOSSES, ADAM),
        has_one_loss=False,
    ),
    "torch-losses": Lesson(
        NETWORKS,
        "the other losses of torch.nn, for classification",
        50,
        "Several are the cross entropy under another name. Compare test/accuracy, as the losses have different units.",
        _mlp("loss", TORCH_LOSSES, ADAM),
        has_one_loss=False,
    ),
    "mlp": Lesson(
        NETWORKS,
        "two hidden layers, ten epochs; the pictures that are predicted wrong",
        20,
        "Two hidden layers beat the single layer of the softmax lesson; the images predicted wrong look ambiguous.",
        {"sgd": "mlp --epochs 10", "adam": f"mlp --epochs 10 {ADAM}"},
    ),
}
