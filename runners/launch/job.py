"""What a runner needs around its training: processes, device, data, a new or resumed run, checkpoints."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click
import torch
from torch import nn

from monitor import Logger, Run
from monitor.dashboards.session import echo
from monitor.errors import JobError
from monitor.integrations.common import add_config
from monitor.remote.claims import check_place
from monitor.runs.resume import reopen, reopen_elsewhere, reopen_restarted
from monitor.runs.settings.convert import to_settings
from monitor.runs.status import SIGNAL_EXIT_CODES
from monitor.runs.trials.trial import current_population
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.steering.controls import Controls
from runners.launch.options import TrainOptions
from runners.launch.population import change_optimizer, gate_between_rounds, note_exploit, wait_for_delivery
from runners.launch.restarts import find_launchers
from runners.launch.resume_options import (
    ResumePoint,
    check_config,
    find_resume_point,
    options_to_save,
    restore_options,
    run_directory,
)
from runners.launch.session import open_logger
from runners.training.checkpointing.checkpoints import Checkpoints, fingerprint, restore, restore_random_state
from runners.training.distributed import DistributedContext, init_distributed
from runners.training.optimizers import fit_scheduler
from runners.training.run import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runners.data.dataset import Dataset
    from runners.training.optimizers import Scheduler

OptionsT = TypeVar("OptionsT", bound=TrainOptions)


class Job(Generic[OptionsT]):
    """One process's part of a training; `open_job` makes it. `options` are a resumed run's, where there is one."""

    def __init__(
        self,
        runner: str,
        options: OptionsT,
        distributed: DistributedContext,
        device: torch.device,
        resume_point: ResumePoint | None,
        *,
        launchers: list[dict[str, Any]],
        are_sinks_from_user: bool = True,
    ) -> None:
        self.runner, self.options, self.distributed, self.device = runner, options, distributed, device
        self.launchers = launchers
        self._resume_point, self._are_sinks_from_user = resume_point, are_sinks_from_user

    def load(self, load_data: Callable[[], Dataset]) -> Dataset:
        """Load a data set; with several processes rank 0 comes first, as it may download."""
        with self.distributed.rank_0_first():
            return load_data()

    @contextmanager
    def open_run(
        self,
        config: Mapping[str, Any],
        data: Dataset,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Scheduler | None,
    ) -> Iterator[TrainingRun]:
        """Open the run, new or resumed, with its logger and its dashboards; close them after the training."""
        options, distributed, resume_point = self.options, self.distributed, self._resume_point
        data_fingerprint = (
            fingerprint(data)
            if options.checkpoint_every or options.steer or resume_point is not None or current_population() is not None
            else []
        )
        if resume_point is not None:
            check_config(resume_point, config, data_fingerprint)
        model.to(self.device)
        if distributed.world_size > 1:  # the models start equal, but what they draw from now on must differ
            torch.manual_seed(options.seed + distributed.rank)
        state = None
        if resume_point is not None and resume_point.checkpoint is not None:  # before anything is written
            state = restore(resume_point.checkpoint, model, optimizer, scheduler, distributed.rank)
            change_optimizer(resume_point, options, optimizer, scheduler)
        with ExitStack() as cleanup:
            logger = open_logger(
                self.runner,
                config,
                options,
                self._reopen,
                distributed.rank,
                are_sinks_from_user=self._are_sinks_from_user,
                controls=self._controls(optimizer, scheduler),
            )
            log = cleanup.enter_context(logger)
            if distributed.rank == 0 and (distributed.world_size > 1 or self.launchers):
                log.run.update(launchers=self.launchers, processes=distributed.world_size)
            if resume_point is not None:
                self._note_length(log, optimizer, scheduler)
            run = TrainingRun(log, distributed=distributed)
            if options.log_ranks:
                run.rank_logger = cleanup.enter_context(self._open_rank_logger(log))
            if state is not None and resume_point is not None and resume_point.checkpoint is not None:
                run.state = state
                restore_random_state(resume_point.checkpoint, distributed.rank)  # opening the run may have drawn
                note_exploit(log, resume_point, config, state)
            run.gate = gate_between_rounds(run)
            if options.checkpoint_every or run.gate or (options.steer and _is_durable(options.sinks)):
                settings = to_settings(config)  # without what the run adds to its own
                run.checkpoints = Checkpoints(
                    every=options.checkpoint_every,
                    metadata={
                        "config": settings,
                        "options": options_to_save(options),
                        "data": data_fingerprint,
                    },
                    model=model,
                    optimizer=optimizer,
                    scheduler=scheduler,
                    logger=log,
                    rank_logger=run.rank_logger,
                    distributed=distributed,
                )
                log.controls.add("checkpoint", lambda _step: run.save_checkpoint())
            try:
                yield run
                wait_for_delivery(run)
            except (RuntimeError, SystemExit) as error:
                self._close_failed_job(log, error)
                raise

    def _note_length(self, log: Logger, optimizer: torch.optim.Optimizer, scheduler: Scheduler | None) -> None:
        """Where a resumed run has another number of epochs, record it and fit the schedule to it."""
        assert self._resume_point is not None
        options, before = self.options, self._resume_point.saved_options.get("epochs")
        if before in (None, options.epochs):
            return
        lr = optimizer.param_groups[0]["lr"]
        if scheduler is not None:
            fit_scheduler(options.scheduler, optimizer, scheduler, options.epochs)
        if self.distributed.rank == 0:
            add_config(log, {"epochs": options.epochs})
            line = f"Length: {options.epochs} epochs instead of {before}"
            if scheduler is not None:
                now = optimizer.param_groups[0]["lr"]
                line += f"; the {options.scheduler} schedule spans them, so the rate is {now:.4g}, not {lr:.4g}"
            echo(line)

    def _reopen(self) -> Run | None:
        """Return the run to resume, None for a new one."""
        point = self._resume_point
        if point is None:
            return None
        if point.donor is not None:
            return reopen_elsewhere(point.path, point.step)
        continue_from = reopen_restarted if point.is_restart else reopen
        run = continue_from(point.path, point.checkpoint_name, point.step)
        run.controls_made = point.changes_made(run.controls_made, len(run.controls))
        return run

    def _controls(self, optimizer: torch.optim.Optimizer, scheduler: Scheduler | None) -> Controls:
        """Return what a dashboard may change; without `--steer`, earlier changes are repeated and no others made."""
        targets: dict[str, Any] = {"lr": optimizer if scheduler is None else scheduler}
        if "weight_decay" in optimizer.param_groups[0]:
            targets["weight_decay"] = optimizer
        repeat = self.options.steer_from
        if repeat is not None:
            repeat = run_directory(repeat, self.options.logdir)
        return Controls(targets, repeat=repeat, listens=self.options.steer)

    @contextmanager
    def _open_rank_logger(self, log: Logger) -> Iterator[Logger]:
        """Open the logger for what concerns this process alone, with its own event file in the shared run."""
        path = self.distributed.broadcast(log.run.path)
        if self.distributed.rank == 0:
            yield log
            return
        sink = TensorBoardSink(self.distributed.rank)
        with Logger(Run(path, is_written=False), [sink], every_rank=True) as rank_logger:
            yield rank_logger

    def _close_failed_job(self, log: Logger, error: BaseException) -> None:
        """Write to the run's status how a job of several processes ended; with one, the logger does so itself."""
        if self.distributed.world_size == 1:
            return
        if isinstance(error, SystemExit):
            signal_name = SIGNAL_EXIT_CODES.get(error.code) if isinstance(error.code, int) else None
            if signal_name is not None:
                message = f"{signal_name}; torchrun sends it to all processes when one of them ends"
                log.close(status="killed", error=message)
        elif isinstance(error, torch.distributed.DistError) or re.search("peer|[Tt]imed out", str(error)):
            reason = re.sub(r"^\[[^\]]*\] *", "", str(error).splitlines()[0]).partition(". ")[0]
            what = "does not answer" if "timed out" in reason.lower() else "is gone"
            log.close(status="failed", error=f"another process of the job {what}: {reason}")
            raise JobError(f"another process of the job {what}: {reason}") from error


@contextmanager
def open_job(runner: str, options: OptionsT) -> Iterator[Job[OptionsT]]:
    """Join the other processes, if there are any; restore the options of a run to resume; set the seed."""
    with init_distributed(options.device) as distributed:
        launchers = find_launchers(distributed)
        resume_point = find_resume_point(runner, options, distributed, launchers)
        sinks_from_user = options.sinks
        if resume_point is not None:
            options = restore_options(options, resume_point)
        if options.steer_from is not None and resume_point is not None:
            raise click.BadParameter("goes with a new run; a resumed one repeats its own.", param_hint="'--steer-from'")
        if (options.checkpoint_every or current_population() is not None) and not _is_durable(options.sinks):
            raise click.BadParameter(
                "needs --sink tensorboard, which keeps the curves before the checkpoint.",
                param_hint="'--checkpoint-every'" if options.checkpoint_every else "a trial of --scheduler pbt",
            )
        if distributed.world_size > 1:
            distributed.local_batch_size(options.batch_size or distributed.world_size)
            if options.optimizer == "lbfgs":
                raise click.BadParameter("lbfgs runs on one process only.", param_hint="'--optimizer'")
        if distributed.rank == 0:
            check_place(options.logdir)
        device = distributed.device or select_device(options.device)
        torch.manual_seed(options.seed)
        are_sinks_from_user = options.sinks == sinks_from_user
        yield Job(
            runner,
            options,
            distributed,
            device,
            resume_point,
            launchers=launchers,
            are_sinks_from_user=are_sinks_from_user,
        )


def select_device(name: str) -> torch.device:
    """Return a torch device; `auto` is a GPU if there is one. Raises `click.BadParameter` if it cannot be used."""
    try:
        if name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise click.BadParameter(f"{name!r} is not available: {reason}", param_hint="'--device'") from error
    return device


def _is_durable(sinks: tuple[str, ...]) -> bool:
    """Tell whether one of the sinks keeps what is logged on disk."""
    from monitor.sinks import registry

    return any(registry.make(spec).durable for spec in sinks)
