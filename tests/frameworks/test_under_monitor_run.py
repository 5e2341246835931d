"""Scripts of the frameworks' users under `monitor run`: one run each, with its status, its curves, and its output."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.scripts import command, only_run, runs_of, start_script, write_script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer

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
    "wait": "def end():\n    import time\n    time.sleep(600)\n",
}


def run_script(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `monitor run` with the script in `folder`; W&B, which is installed here, stays silent."""
    return subprocess.run(
        [sys.executable, *command(*arguments)],
        cwd=folder,
        env={**os.environ, "WANDB_MODE": "disabled", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def script_of(name: str, end: str, folder: Path) -> tuple[Path, Path, str]:
    """Write a script that ends so; return its folder, and its run's directory and tag."""
    code, directory, tag = SCRIPTS[name]
    write_script(folder, ENDS[end] + code)
    return folder, folder / (directory or "runs/mine"), tag


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_one_run(name: str, tmp_path: Path) -> None:
    folder, directory, tag = script_of(name, "finish", tmp_path)
    done = run_script(folder, "--alert", f"{tag} > -1e9", "--name", "mine", "script.py")
    assert done.returncode == 0, done.stderr
    info = only_run(folder)
    assert (info.status, info.error) == ("finished", None)
    assert info.path.match(str(directory))
    points = event_reader.series(info.path, tag)
    assert len(points) == (1 if name == "hydra" else 4)
    assert info.metrics[tag]["last"] == pytest.approx(points[-1][1])
    assert [alert["rule"] for alert in info.fields["alerts"]] == [f"{tag} > -1e9"]
    assert "the last line" in (info.path / "output.log").read_text()


@pytest.mark.parametrize("name", FAILING)
def test_a_script_that_raises_is_a_failed_run(name: str, tmp_path: Path) -> None:
    folder, _, tag = script_of(name, "fail", tmp_path)
    done = run_script(folder, "--name", "mine", "script.py", HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "ArithmeticError: out of luck" in done.stderr
    info = only_run(folder)
    assert (info.status, info.error) == ("failed", "ArithmeticError: out of luck")
    assert name == "hydra" or event_reader.series(info.path, tag)


@pytest.mark.parametrize("name", ["ignite", "optuna"])
def test_a_script_that_is_killed_is_a_killed_run(name: str, tmp_path: Path) -> None:
    folder, directory, tag = script_of(name, "wait", tmp_path)
    process = start_script(folder, "--name", "mine", "script.py")
    files = directory.glob
    wait_until(lambda: any(files("events*")) and len(event_reader.series(directory, tag)) == 4, 200, "the curve")
    children = psutil.Process(process.pid).children()
    (script,) = [child for child in children if "script.py" in child.cmdline()]
    script.kill()
    process.communicate(timeout=60)
    info = only_run(folder)
    assert (info.path, info.status, info.error) == (directory, "killed", "SIGKILL")


def test_the_curves_are_in_visdom_too(tmp_path: Path, visdom_server: VisdomServer) -> None:
    folder, _, _ = script_of("accelerate-monitor", "finish", tmp_path)
    done = run_script(folder, "--sink", visdom_server.spec(), "script.py")
    assert done.returncode == 0, done.stderr
    assert "loss" in visdom_server.windows("line")


RAY = """
import ray
from ray import tune

ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)

def trial(config):
    for step in range(3):
        tune.report({"loss": config["lr"] / (step + 1)})
    if config["lr"] > 1:
        raise ArithmeticError("out of luck")

space = {"lr": tune.grid_search([0.5, 2.0])}
tune.Tuner(trial, param_space=space, run_config=tune.RunConfig(name="search", storage_path=FOLDER, verbose=0)).fit()

import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

def loop(config):
    ray.train.report({"loss": 0.25})

DataParallelTrainer(
    loop, scaling_config=ray.train.ScalingConfig(num_workers=1),
    run_config=ray.train.RunConfig(storage_path=FOLDER),
).fit()
ray.shutdown()
"""


@pytest.mark.xdist_group("ray")
def test_the_trials_of_ray_tune_and_a_training_of_ray_train_are_runs(tmp_path: Path) -> None:
    folder = write_script(tmp_path, RAY.replace("FOLDER", repr(str(tmp_path / "ray"))))
    done = run_script(folder, "--name", "mine", "--alert", "loss < 0.3", "script.py", RAY_AUTH_MODE="disabled")
    assert done.returncode == 0, done.stderr
    runs = runs_of(tmp_path)
    names = [name for name in runs if name != "runs/mine"]
    assert len(names) == 2
    assert all(name.startswith("ray/search/trial_") for name in names)
    (failed,) = (info for info in runs.values() if info.status == "failed")
    assert failed.fields["error"] == "ArithmeticError: out of luck"
    assert sorted(info.status for info in runs.values()) == ["failed", "finished", "finished"]
    assert [step for step, _ in event_reader.series(tmp_path / names[0], "ray/tune/loss")] == [1, 2, 3]
    assert event_reader.series(tmp_path / "runs" / "mine", "loss") == [(0, 0.25)]
    assert [alert["rule"] for alert in runs["runs/mine"].fields["alerts"]] == ["loss < 0.3"]
