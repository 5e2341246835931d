"""Train a multilayer perceptron on images: `monitor train mlp`, or `python -m runners.mlp`."""

from __future__ import annotations

from typing import Any

import click

from monitor.commands.base import MonitorCommand
from runners.launch.options import (
    data_directory,
    data_options,
    optimizer_options,
    run_options,
)
from runners.launch.validators import epoch_or_steps, finite, layer_widths
from runners.training.names import ACTIVATIONS, IMAGES, INITS, LOSSES, OPTIMIZERS

SETTINGS = (
    "epochs", "batch_size", "lr", "hidden", "activation", "activate_output", "init", "dropout", "loss", "optimizer",
    "momentum", "weight_decay", "scheduler", "val_fraction", "early_stopping", "seed",
)  # fmt: skip


@click.command(name="mlp", cls=MonitorCommand, context_settings={"show_default": True})
@click.option("--epochs", type=click.IntRange(min=1), default=10, help="Passes over the training set.")
@click.option("--batch-size", type=click.IntRange(min=1), default=200, help="Samples a step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), callback=finite, default=0.01, help="Learning rate.")
@click.option("--hidden", callback=layer_widths, default="200,200", help="Widths of the hidden layers.")
@click.option("--activation", type=click.Choice(ACTIVATIONS), default="relu", help="After each hidden layer.")
@click.option("--activate-output", is_flag=True, help="Put the activation after the last layer too.")
@click.option("--init", type=click.Choice(INITS), default="default", help="How the weights start.")
@click.option("--dropout", type=click.FloatRange(min=0, max=1, max_open=True), callback=finite, default=0.0,
              help="Share of activations left out in training.")  # fmt: skip
@click.option("--loss", type=click.Choice(LOSSES), default="log", help="log is the cross entropy.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="sgd", help="One of torch.optim.")
@optimizer_options
@click.option("--data", type=click.Choice(["auto", *IMAGES]), default="auto",
              help="auto: MNIST, or scikit-learn's digits where MNIST cannot be had.")  # fmt: skip
@data_options
@click.option("--val-fraction", type=click.FloatRange(min=0, max=1, max_open=True), callback=finite, default=0.0,
              help="Share of the training set that is held out for validation.")  # fmt: skip
@click.option("--early-stopping", type=click.IntRange(min=1), metavar="N",
              help="Stop after N tests without a lower val/loss.")  # fmt: skip
@click.option("--test-every", default="epoch", metavar="epoch|STEPS", callback=epoch_or_steps,
              help="When to try the test set.")  # fmt: skip
@click.option("--log-gradients", is_flag=True, help="Histograms of the gradients, beside those of the weights.")
@run_options
def main(**given: Any) -> dict[str, float]:
    """Train an MLP (784-200-200-10) on images, and watch it."""
    if given["early_stopping"] and not given["val_fraction"]:
        raise click.BadParameter("needs --val-fraction, the part to watch.", param_hint="'--early-stopping'")
    from runners.data import images
    from runners.launch.job import open_job
    from runners.training import loop, losses, models, optimizers
    from runners.training.state import TrainConfig

    with open_job("mlp", given) as job:
        dataset = job.load(lambda: images.load(given["data"], data_directory(given["data_dir"]), given["mnist_mirror"]))
        dataset = dataset.with_validation(given["val_fraction"], given["seed"])
        model = models.MLP(
            dataset.train.x.shape[1],
            given["hidden"],
            len(dataset.classes),
            given["activation"],
            dropout=given["dropout"],
            activate_output=given["activate_output"],
        )
        models.initialize_weights(model, given["init"])
        optimizer = optimizers.make(
            given["optimizer"], model.parameters(), given["lr"], given["momentum"], given["weight_decay"]
        )
        schedule = optimizers.SCHEDULERS[given["scheduler"]]
        plan = TrainConfig(
            epochs=given["epochs"],
            batch_size=given["batch_size"],
            device=job.device,
            seed=given["seed"],
            log_every=given["log_every"],
            test_every=None if given["test_every"] == "epoch" else given["test_every"],
            patience=given["early_stopping"],
            log_gradients=given["log_gradients"],
            may_stop=given["stop_on_alert"],
            processes=job.processes,
        )
        settings = {name: given[name] for name in SETTINGS}
        config = {"runner": "mlp", "data": dataset.name, "device": str(job.device), **settings}
        scheduler = schedule(optimizer, given["epochs"]) if schedule else None
        with job.start(config, dataset, model, optimizer, scheduler) as started:
            loss_of = losses.LOSSES[given["loss"]]
            log, at, save, own = started
            return loop.train(model, dataset, optimizer, loss_of, log, plan, scheduler, at=at, save=save, own=own)


if __name__ == "__main__":
    main(prog_name="python -m runners.mlp")
