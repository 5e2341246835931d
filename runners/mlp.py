"""Train a multilayer perceptron on images: `monitor train mlp`, or `python -m runners.mlp`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.option_values import NameChoice
from runners.choices import ACTIVATIONS, IMAGE_DATASETS, INITS, LOSSES, OPTIMIZERS, RENAMED_LOSSES
from runners.launch.options import CHANGEABLE as CHANGEABLE
from runners.launch.options import PRELOAD as PRELOAD
from runners.launch.options import TrainOptions, data_directory, data_options, optimizer_options, run_options
from runners.launch.validators import epoch_or_steps, finite, layer_widths

CONFIG_OPTIONS = (
    "epochs", "batch_size", "lr", "hidden", "activation", "activate_output", "init", "dropout", "loss", "optimizer",
    "momentum", "weight_decay", "scheduler", "val_fraction", "early_stopping", "seed",
)  # fmt: skip

EPOCHS, DIGITS_EPOCHS = 10, 150


@dataclass(frozen=True, kw_only=True)
class MlpOptions(TrainOptions):
    """The options of `monitor train mlp`."""

    batch_size: int
    hidden: list[int]
    activation: str
    activate_output: bool
    init: str
    dropout: float
    loss: str
    val_fraction: float
    early_stopping: int | None  # tests
    test_every: str | int  # "epoch", or steps
    log_gradients: bool


@click.command(name="mlp", cls=MonitorCommand, context_settings={"show_default": True})
@click.option("--epochs", type=click.IntRange(min=1),
              help=f"Passes over the training set.  [default: {EPOCHS}; {DIGITS_EPOCHS} for digits]")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), default=200, help="Samples per step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), callback=finite, default=0.01, help="Learning rate.")
@click.option("--hidden", callback=layer_widths, default="200,200", help="Widths of the hidden layers.")
@click.option("--activation", type=NameChoice(ACTIVATIONS), default="relu", help="After each hidden layer.")
@click.option("--activate-output", is_flag=True, help="Apply the activation after the last layer too.")
@click.option("--init", type=NameChoice(INITS), default="default", help="How to initialize the weights.")
@click.option("--dropout", type=click.FloatRange(min=0, max=1, max_open=True), callback=finite, default=0.0,
              help="Probability of zeroing an activation in training.")  # fmt: skip
@click.option("--loss", type=NameChoice(LOSSES, RENAMED_LOSSES), default="log", help="log is the cross entropy.")
@click.option("--optimizer", type=NameChoice(OPTIMIZERS), default="sgd", help="One of torch.optim.")
@optimizer_options
@click.option("--data", type=NameChoice(["auto", *IMAGE_DATASETS]), default="auto",
              help="auto: MNIST, or scikit-learn's digits if MNIST is not available.")  # fmt: skip
@data_options
@click.option("--val-fraction", type=click.FloatRange(min=0, max=1, max_open=True), callback=finite, default=0.0,
              help="Fraction of the training set to hold out for validation.")  # fmt: skip
@click.option("--early-stopping", type=click.IntRange(min=1), metavar="N",
              help="Stop after N tests without a lower val/loss.")  # fmt: skip
@click.option("--test-every", default="epoch", metavar="epoch|STEPS", callback=epoch_or_steps,
              help="When to evaluate on the test set.")  # fmt: skip
@click.option("--log-gradients", is_flag=True, help="Log histograms of the gradients, beside those of the weights.")
@run_options
def main(**params: Any) -> dict[str, float]:
    """Train an MLP (784-200-200-10) on images, and watch it."""
    options = MlpOptions(**{**params, "epochs": params["epochs"] or 0})  # 0 until the data are known
    if options.early_stopping and not options.val_fraction and options.resume is None:
        raise click.BadParameter("needs --val-fraction, the samples to watch.", param_hint="'--early-stopping'")
    from monitor.dashboards.session import echo
    from runners.data import images
    from runners.launch.job import open_job
    from runners.training import losses, models, optimizers
    from runners.training.checkpointing.state import TrainConfig
    from runners.training.loop import train

    with open_job("mlp", options) as job:
        options = job.options
        directory = data_directory(options.data_dir)
        data = job.load(lambda: images.load(options.data, directory, options.mnist_mirror))
        if not options.epochs:
            options = job.options = replace(options, epochs=DIGITS_EPOCHS if data.name == "digits" else EPOCHS)
        data = data.with_validation(options.val_fraction, options.seed)

        model = models.MLP(
            inputs=data.train.x.shape[1],
            hidden=options.hidden,
            classes=len(data.classes),
            activation=options.activation,
            dropout=options.dropout,
            activate_output=options.activate_output,
        )
        models.initialize_weights(model, options.init)
        loss_fn = losses.LOSSES[options.loss]
        optimizer = optimizers.make_optimizer(
            options.optimizer, model.parameters(), options.lr, options.momentum, options.weight_decay
        )
        scheduler = optimizers.make_scheduler(options.scheduler, optimizer, options.epochs)

        train_config = TrainConfig(
            epochs=options.epochs,
            batch_size=options.batch_size,
            device=job.device,
            seed=options.seed,
            log_every=options.log_every,
            test_every=None if isinstance(options.test_every, str) else options.test_every,
            patience=options.early_stopping,
            log_gradients=options.log_gradients,
            may_stop=options.may_stop,
        )
        config = {"runner": "mlp", "data": data.name, "device": str(job.device)}
        config |= {name: getattr(options, name) for name in CONFIG_OPTIONS}
        with job.open_run(config, data, model, optimizer, scheduler) as run:
            if job.distributed.rank == 0:
                widths = "-".join(map(str, (data.train.x.shape[1], *options.hidden, len(data.classes))))
                echo(f"Model: {widths}, {models.parameter_count(model):,} parameters")
            return train(model, data, loss_fn, optimizer, scheduler, train_config, run)


if __name__ == "__main__":
    main(prog_name="python -m runners.mlp")
