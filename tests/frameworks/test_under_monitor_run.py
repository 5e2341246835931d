"""Scripts of the frameworks' users under `monitor run`: one run each, with its status, its curves, and its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader
from tests.support.scripts import only_run, run_script, write_script

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.timeout(300)  # some of the frameworks take long to import

LIGHTNING = """
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

class Line(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_epoch_end(self):
        end()

trainer = Trainer(
    logger=TensorBoardLogger("logs"), max_epochs=1, log_every_n_steps=1, accelerator="cpu",
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
)
trainer.fit(Line(), torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2))
"""
IGNITE = """
from ignite.engine import Engine, Events
from ignite.handlers.tensorboard_logger import TensorboardLogger

trainer = Engine(lambda engine, batch: 1 / batch)
with TensorboardLogger(log_dir="logs") as logger:
    logger.attach_output_handler(
        trainer, Events.ITERATION_COMPLETED, tag="train", output_transform=lambda loss: {"loss": loss}
    )
    trainer.run([1, 2, 3, 4])
    end()
"""
TRANSFORMERS = """
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

class End(TrainerCallback):
    def on_epoch_end(self, *_, **__):
        end()

tokens = [torch.randint(0, 9, (8,)) for _ in range(8)]
config = GPT2Config(vocab_size=9, n_positions=8, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
Trainer(
    GPT2LMHeadModel(config),
    TrainingArguments(
        output_dir="out", report_to=REPORT_TO, logging_steps=1, num_train_epochs=1, per_device_train_batch_size=2,
        save_strategy="no", use_cpu=True, disable_tqdm=True,
    ),
    train_dataset=[{"input_ids": row, "labels": row} for row in tokens],
    callbacks=[End()],
).train()
"""
ACCELERATE = """
from accelerate import Accelerator

accelerator = Accelerator(log_with=LOG_WITH, project_dir="logs", cpu=True)
accelerator.init_trackers("line", config={"lr": 0.1})
for step in range(4):
    accelerator.log({"loss": 1 / (step + 1)}, step=step)
end()
accelerator.end_training()
"""
KERAS = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
from monitor.integrations.keras import MonitorCallback

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile(optimizer="sgd", loss="mse")
stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: end())
model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, callbacks=[MonitorCallback(), stop], verbose=0)
"""
OPTUNA = """
import optuna
from monitor.integrations.optuna import MonitorCallback

study = optuna.create_study()
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4, callbacks=[MonitorCallback()])
end()
"""
SKLEARN = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from monitor.integrations.sklearn import MonitorCallback

LogisticRegression(max_iter=4).set_callbacks(MonitorCallback()).fit(*load_iris(return_X_y=True))
end()
"""
HYDRA = """
import hydra
from hydra.core.config_store import ConfigStore

callback = {"_target_": "monitor.integrations.hydra.MonitorCallback"}
ConfigStore.instance().store("config", {"lr": 0.1, "hydra": {"callbacks": {"monitor": callback}}})

@hydra.main(version_base=None, config_name="config")
def train(config):
    end()
    return config.lr

train()
"""
# By name: the script, the directory of the run (None for that of `monitor run`), and a tag.
SCRIPTS = {
    "lightning": (LIGHTNING, "logs/lightning_logs/version_0", "loss"),
    "ignite": (IGNITE, "logs", "train/loss"),
    "transformers-tensorboard": (TRANSFORMERS.replace("REPORT_TO", "'tensorboard'"), "out/runs/*", "train/loss"),
    "transformers-all": (TRANSFORMERS.replace("REPORT_TO", "'all'"), "out/runs/*", "train/loss"),
    "transformers-monitor": (TRANSFORMERS.replace("REPORT_TO", "'monitor'"), None, "train/loss"),
    "accelerate-tensorboard": (ACCELERATE.replace("LOG_WITH", "'tensorboard'"), "logs/line", "loss"),
    "accelerate-all": (ACCELERATE.replace("LOG_WITH", "'all'"), "logs/line", "loss"),
    "accelerate-monitor": (ACCELERATE.replace("LOG_WITH", "'monitor'"), "runs/line", "loss"),
    "keras": (KERAS, None, "train/loss"),
    "optuna": (OPTUNA, None, "study/value"),
    "sklearn": (SKLEARN, None, "train/score"),
    "hydra": (HYDRA, None, "result/value"),
}
FAILING = ("lightning", "ignite", "transformers-monitor", "accelerate-monitor", "keras", "optuna", "hydra")
ENDS = {
    "finish": "def end():\n    print('the last line')\n",
    "fail": "def end():\n    raise ArithmeticError('out of luck')\n",
    "wait": "def end():\n    import pathlib, time\n    pathlib.Path('reached').touch()\n    time.sleep(600)\n",
}


def script_of(name: str, end: str, folder: Path) -> tuple[Path, Path, str]:
    """Write a script that ends so; return its folder, and its run's directory and tag."""
    code, directory, tag = SCRIPTS[name]
    write_script(folder, ENDS[end] + code)
    return folder, folder / (directory or "runs/mine"), tag


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_one_run(name: str, tmp_path: Path) -> None:
    folder, directory, tag = script_of(name, "finish", tmp_path)
    done = run_script(folder, "--alert", f"{tag} > -1e9", "--name", "mine", "script.py", WANDB_MODE="disabled")
    assert done.returncode == 0, done.stderr
    info = only_run(folder)
    assert (info.status, info.error) == ("finished", None)
    assert info.path.match(str(directory))
    points = event_reader.series(info.path, tag)
    assert len(points) == (1 if name == "hydra" else 4)
    assert info.metrics[tag]["last"] == pytest.approx(points[-1][1])
    assert [alert["rule"] for alert in info.fields["alerts"]] == [f"{tag} > -1e9"]
    assert "the last line" in (info.path / "output.log").read_text()
