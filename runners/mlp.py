"""Train a multilayer perceptron on handwritten digits: `monitor train mlp`, or `python -m runners.mlp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from monitor.oneline import OneLine
from runners.options import device_of, finite, run_options, url, widths

ACTIVATIONS = ("relu", "leaky-relu", "selu", "softplus", "elu", "tanh", "sigmoid")
OPTIMIZERS = (
    "sgd", "adam", "adamw", "adamax", "adagrad", "adadelta", "asgd", "rmsprop", "rprop", "nadam", "radam", "adafactor",
)  # fmt: skip


@click.command(name="mlp", cls=OneLine, context_settings={"show_default": True})
@click.option("--epochs", type=click.IntRange(min=1), default=10, help="Passes over the training set.")
@click.option("--batch-size", type=click.IntRange(min=1), default=200, help="Samples a step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), callback=finite, default=0.01, help="Learning rate.")
@click.option("--hidden", callback=widths, default="200,200", help="Widths of the hidden layers.")
@click.option("--activation", type=click.Choice(ACTIVATIONS), default="relu", help="After each hidden layer.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="sgd", help="One of torch.optim.")
@click.option("--data", type=click.Choice(["auto", "mnist", "digits"]), default="auto",
              help="auto: MNIST, or scikit-learn's digits where MNIST cannot be had.")  # fmt: skip
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where MNIST is, or goes.  [default: a user cache]")
@click.option("--mnist-mirror", metavar="URL", callback=url, help="Download MNIST from here first.")
@click.option("--test-every", default="epoch", metavar="epoch|STEPS", callback=lambda c, p, v: test_every(v),
              help="When to try the test set.")  # fmt: skip
@run_options
def main(**given: Any) -> None:
    """Train an MLP (784-200-200-10) on MNIST, and watch it."""
    import torch

    from runners import data, models, training
    from runners.session import start

    device = device_of(given["device"])
    torch.manual_seed(given["seed"])
    dataset = data.load(given["data"], data_directory(given["data_dir"]), given["mnist_mirror"])
    model = models.MLP(dataset.train.x.shape[1], given["hidden"], len(dataset.classes), given["activation"])
    optimizer = training.OPTIMIZERS[given["optimizer"]](model.parameters(), lr=given["lr"])  # type: ignore[call-arg]
    config = {
        "runner": "mlp",
        "data": dataset.name,
        "device": str(device),
        **{name: given[name] for name in ("epochs", "batch_size", "lr", "hidden", "activation", "optimizer", "seed")},
    }
    with start("mlp", config, given) as log:
        training.train(
            model,
            dataset,
            optimizer,
            torch.nn.functional.cross_entropy,
            log,
            epochs=given["epochs"],
            batch_size=given["batch_size"],
            device=device,
            generator=torch.Generator().manual_seed(given["seed"]),
            log_every=given["log_every"],
            test_every=given["test_every"],
        )


def test_every(value: str) -> int | None:
    """Read `epoch` as None, and a number of steps as it is."""
    if value == "epoch":
        return None
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise click.BadParameter(f"{value!r} is neither 'epoch' nor a number of steps, 1 or more.")
    return int(value)


def data_directory(given: Path | None) -> Path:
    """Return the user's data directory, or the one that all runs share."""
    if given is not None:
        return given
    from platformdirs import user_cache_path

    return user_cache_path("training-monitor") / "data"


if __name__ == "__main__":
    main(prog_name="python -m runners.mlp")
