"""What each lesson is to show, checked against its runs: a sentence with their numbers, and whether it holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from runners.course.published import FIRST_LOSSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runners.course.results import RunResult

STUCK_BAND = 0.1  # how far a loss may be from ln 10 to be stuck there
TOLERANCE = 1e-6  # of a loss in single precision


class Finding(NamedTuple):
    """A sentence about the runs, and whether the runs have shown what the lesson is about."""

    text: str
    holds: bool


def points(results: Mapping[str, RunResult]) -> Finding:
    """A slope near 2 after 500 epochs."""
    run = results["points"]
    w, b = run.last("parameters/w"), run.last("parameters/b")
    predicted = 4 * w + b
    return Finding(f"the slope is {w:.3f}, and 4 hours give {predicted:.3f} points", abs(predicted - 8) < 0.5)


def hours(results: Mapping[str, RunResult]) -> Finding:
    """Where the probability crosses 0.5, and whether that separates the students."""
    crossings = {name: run.last("boundary") for name, run in results.items()}
    if "hours-3000" not in results:
        return hours_on_the_slide(results, crossings)
    early, late, adam = crossings["hours"], crossings["hours-3000"], crossings["hours-adam"]
    accuracy = {name: run.metrics["train/accuracy"] for name, run in results.items()}
    text = f"after 1,000 steps the probability crosses 0.5 at {early:.2f} hours, so 2 hours, a fail, is called a pass "
    text += f"(accuracy {accuracy['hours']:g}); after 3,000 steps it crosses at {late:.2f} hours, with Adam at "
    text += f"{adam:.2f}, and all four are right"
    separated = all(2 < crossings[name] < 3 and accuracy[name] == 1 for name in ("hours-3000", "hours-adam"))
    return Finding(text, early < 2 and accuracy["hours"] == 0.75 and separated)


def hours_on_the_slide(results: Mapping[str, RunResult], crossings: Mapping[str, float]) -> Finding:
    """From the slide's start, the losses of the same steps in double precision, and where the probability crosses."""
    differences = [
        abs(run.series("train/loss")[step] - loss)
        for run in results.values()
        for step, loss in enumerate(first_losses(run))
    ]
    text = f"the first {FIRST_LOSSES} losses are those of the same steps in double precision, to {TOLERANCE:g}; the "
    text += f"probability crosses 0.5 at {crossings['hours']:.2f} hours with four students, at "
    text += f"{crossings['hours3']:.2f} with three"
    return Finding(text, max(differences) < TOLERANCE and crossings["hours"] < 2 < crossings["hours3"] < 3)


def first_losses(run: RunResult) -> list[float]:
    """Compute the first losses of a run on one feature, with gradient descent in double precision."""
    from runners.data.tables import TABLES

    table = TABLES[run.config["data"]]()
    samples = list(zip(table.x[:, 0].tolist(), table.y.tolist()))
    share = 1 / len(samples) if run.config["reduction"] == "mean" else 1.0
    w, b, lr = (run.config[name] for name in ("initial_weight", "initial_bias", "lr"))
    losses = []
    for _ in range(FIRST_LOSSES):
        probabilities = [1 / (1 + math.exp(-w * x - b)) for x, _ in samples]
        losses.append(-share * sum(math.log(p if y else 1 - p) for p, (_, y) in zip(probabilities, samples)))
        w -= lr * share * sum((p - y) * x for p, (x, y) in zip(probabilities, samples))
        b -= lr * share * sum(p - y for p, (_, y) in zip(probabilities, samples))
    return losses


def hours_optimizers(results: Mapping[str, RunResult]) -> Finding:
    """Who gets furthest and who not at all with one learning rate."""
    losses = {name: run.metrics["train/loss"] for name, run in results.items()}
    separated = [name for name, run in results.items() if run.metrics["train/accuracy"] == 1]
    first = results["adadelta"].series("train/loss")[0]
    text = f"adadelta goes from {first:.4f} to {losses['adadelta']:.4f}; rprop, here with its full batches, and lbfgs "
    text += f"get below 0.001; these classify all four students correctly: {', '.join(separated)}"
    is_last = losses["adadelta"] == max(losses.values())
    return Finding(text, is_last and max(losses["rprop"], losses["lbfgs"]) < 0.001)


def wrong_start(results: Mapping[str, RunResult]) -> Finding:
    """The cross entropy recovers, the squared error does not."""
    bce, mse = (results[name].metrics["train/accuracy"] for name in ("bce", "mse"))
    norms = [results[name].series("gradient_norm")[0] for name in ("bce", "mse")]
    text = f"the gradient norm at the start is {norms[0]:.3g} for the cross entropy, {norms[1]:.3g} for the squared "
    text += "error; "
    text += f"at the end {bce:.0%} and {mse:.0%} of the students are classified correctly"
    return Finding(text, bce > mse and norms[0] > 100 * norms[1])


def lecture_lab(results: Mapping[str, RunResult]) -> Finding:
    """The cost at the three epochs that the slide names."""
    cost = results["lecture-lab"].series("train/loss")
    steps = [step for step in (0, 100, 1000) if step in cost]
    text = "the cost is " + ", ".join(f"{cost[step]:.6f} at epoch {step}" for step in steps)
    wanted = {0: "0.693147", 100: "0.134722", 1000: "0.019852"}
    return Finding(text, all(step in cost and f"{cost[step]:.6f}" == digits for step, digits in wanted.items()))


def diabetes(results: Mapping[str, RunResult]) -> Finding:
    """Hardly better after 30 epochs than after 100."""
    accuracy = results["diabetes"].series("train/accuracy")
    last = accuracy[max(accuracy)]
    early = accuracy.get(30, math.nan)
    text = f"{last:.1%} of the rows are classified correctly after {max(accuracy)} epochs, {early:.1%} after 30"
    return Finding(text, last > 0.75 and abs(last - early) < 0.02)


def heart(results: Mapping[str, RunResult]) -> Finding:
    """The odds ratio of ten years."""
    w, boundary = results["heart"].last("parameters/w"), results["heart"].last("boundary")
    ratio = math.exp(10 * w)
    text = f"ten more years multiply the odds by {ratio:.2f}; the probability is 0.5 at {boundary:.1f} years"
    return Finding(text, abs(ratio - 3.7) < 0.05)


def softmax(results: Mapping[str, RunResult]) -> Finding:
    """About 92% for both."""
    both = {name: run.metrics["test/accuracy"] for name, run in results.items()}
    text = f"a single layer classifies {both['multinomial']:.1%} of the test images correctly, one-vs-rest "
    text += f"{both['one-vs-rest']:.1%}"
    return Finding(text, both["multinomial"] > 0.92 and abs(both["multinomial"] - both["one-vs-rest"]) < 0.02)


def cross_entropy_vs_mse(results: Mapping[str, RunResult]) -> Finding:
    """The gradient at the start, and the accuracy at the end."""
    norms = [results[name].series("gradient_norm")[0] for name in ("log", "mse")]
    accuracy = [results[name].metrics["test/accuracy"] for name in ("log", "mse")]
    text = f"the gradient norm of the first batch is {norms[0]:.3f} for the cross entropy and {norms[1]:.4f} for the "
    text += f"squared error; the test accuracy at the end {accuracy[0]:.1%} and {accuracy[1]:.1%}"
    return Finding(text, norms[0] > 10 * norms[1] and accuracy[0] > accuracy[1] + 0.2)


def init_matters(results: Mapping[str, RunResult]) -> Finding:
    """Every seed of normal weights is stuck in a band around ln 10; the others learn."""
    stuck = [
        run.metrics["test/loss"] for name, run in results.items() if name.startswith("normal-") and name[-1].isdigit()
    ]
    others = {name: run.metrics["test/accuracy"] for name, run in results.items() if name.startswith("kaiming")}
    plain = results["normal-plain"].metrics["test/accuracy"]
    text = (
        f"normal weights are stuck at a loss of {min(stuck):.3f} to {max(stuck):.3f} (ln 10 = {math.log(10):.3f}) for "
    )
    text += f"{len(stuck)} seeds; Kaiming's reach {min(others.values()):.1%} to {max(others.values()):.1%}, and normal "
    text += f"ones without the activated output {plain:.1%}"
    is_stuck = all(abs(loss - math.log(10)) < STUCK_BAND for loss in stuck)
    return Finding(text, is_stuck and min(others.values()) > 0.75 and plain > 0.5)


def activations(results: Mapping[str, RunResult]) -> Finding:
    """The sigmoid is last by far."""
    accuracy = {name: run.metrics["test/accuracy"] for name, run in results.items()}
    others = [value for name, value in accuracy.items() if name != "sigmoid"]
    text = f"the sigmoid reaches {accuracy['sigmoid']:.1%} (loss {results['sigmoid'].metrics['test/loss']:.2f}), the "
    text += f"others {min(others):.1%} to {max(others):.1%}"
    return Finding(text, accuracy["sigmoid"] < min(others) - 0.2)


def optimizers(results: Mapping[str, RunResult]) -> Finding:
    """Adaptive steps and momentum are ahead of plain SGD."""
    accuracy = {name: run.metrics["test/accuracy"] for name, run in results.items()}
    ahead = ("momentum", "adagrad", "rmsprop", "adam", "adamax", "lbfgs")
    text = f"sgd reaches {accuracy['sgd']:.1%}; {', '.join(ahead)} {min(accuracy[name] for name in ahead):.1%} to "
    text += f"{max(accuracy[name] for name in ahead):.1%}; rprop {accuracy['rprop']:.1%}"
    return Finding(text, all(accuracy[name] > accuracy["sgd"] + 0.03 for name in ahead))


def losses(results: Mapping[str, RunResult]) -> Finding:
    """Which losses get how far."""
    accuracy = {name: run.metrics["test/accuracy"] for name, run in results.items()}
    best, worst = max(accuracy, key=accuracy.__getitem__), min(accuracy, key=accuracy.__getitem__)
    cross_entropy = "log" if "log" in accuracy else "nll"
    text = f"the best is {best}, {accuracy[best]:.1%}, the worst {worst}, {accuracy[worst]:.1%}; the cross entropy, "
    text += f"{cross_entropy}, reaches {accuracy[cross_entropy]:.1%}"
    return Finding(text, accuracy[best] > 0.96 and accuracy[cross_entropy] > 0.96)


def mlp(results: Mapping[str, RunResult]) -> Finding:
    """Better than a single layer."""
    sgd, adam = (results[name].metrics["test/accuracy"] for name in ("sgd", "adam"))
    text = f"two hidden layers classify {sgd:.1%} of the test images correctly with sgd and {adam:.1%} with Adam; a "
    text += "single layer about 92%"
    return Finding(text, min(sgd, adam) > 0.925)


FINDINGS: dict[str, Callable[[Mapping[str, RunResult]], Finding]] = {
    "points": points,
    "hours": hours,
    "hours-optimizers": hours_optimizers,
    "wrong-start": wrong_start,
    "lecture-lab": lecture_lab,
    "diabetes": diabetes,
    "heart": heart,
    "softmax": softmax,
    "cross-entropy-vs-mse": cross_entropy_vs_mse,
    "init-matters": init_matters,
    "activations": activations,
    "optimizers": optimizers,
    "losses": losses,
    "torch-losses": losses,
    "mlp": mlp,
}
