"""A runner's work around its training: processes, device, data, the run that is new or resumed, its checkpoints."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import torch
from torch import nn

from monitor import Logger, Run
from monitor.errors import JobError
from monitor.runs.process import parent_identity
from monitor.runs.resume import reopen
from monitor.runs.run import SIGNAL_EXIT_CODES
from monitor.sinks.tensorboard import TensorBoardSink
from runners.launch import session
from runners.launch.options import device_of
from runners.launch.resume_options import ResumePoint, adopt, check, to_keep
from runners.training.checkpoints import Checkpoints, fingerprint, restore
from runners.training.distributed import DistributedContext, init_distributed
from runners.training.state import TrainState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runners.data.dataset import Dataset
    from runners.training.optimizers import Scheduler


class Started(NamedTuple):
    """What `training.train` takes besides the model and the data."""

    log: Logger
    at: TrainState
    save: Checkpoints | None
    own: Logger | None  # of this process alone


class Job:
    """The work of one process; made by `work`."""

    def __init__(
        self,
        runner: str,
        given: Mapping[str, Any],
        processes: DistributedContext,
        device: torch.device,
        resumed: ResumePoint | None,
    ) -> None:
        self.runner, self.given, self.processes, self.device = runner, given, processes, device
        self._resumed = resumed

    def load(self, data: Callable[[], Dataset]) -> Dataset:
        """Load a data set; of several processes rank 0 does first, as it may download."""
        with self.processes.rank_0_first():
            return data()

    @contextmanager
    def start(
        self,
        config: Mapping[str, Any],
        data: Dataset,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Scheduler | None,
    ) -> Iterator[Started]:
        """Open the run, new or resumed, its logger and its dashboards; end them with the training."""
        given, processes, resumed = self.given, self.processes, self._resumed
        every = given["checkpoint_every"]
        print_of_data = fingerprint(data) if every or resumed else []
        if resumed is not None:
            check(resumed, config, print_of_data)
        model.to(self.device)
        if processes.world_size > 1:  # the models are alike, what they draw from now on is not
            torch.manual_seed(given["seed"] + processes.rank)
        with ExitStack() as cleanup:
            log = cleanup.enter_context(session.start(self.runner, config, given, self._reopen, processes.rank))
            if processes.world_size > 1 and processes.rank == 0:
                log.run.update(launcher=parent_identity(), processes=processes.world_size)
            own = cleanup.enter_context(self._own(log)) if given["log_ranks"] else None
            at = TrainState()
            if resumed is not None and resumed.state is not None:
                at = restore(resumed.state, model, optimizer, scheduler, processes)
            save = None
            if every:
                facts = {"config": log.run.config, "options": to_keep(given), "data": print_of_data}
                save = Checkpoints(log, every, processes, facts, model, optimizer, scheduler, own)
            try:
                yield Started(log, at, save, own)
            except (RuntimeError, SystemExit) as error:
                self._end_of_job(log, error)
                raise

    def _reopen(self) -> Run | None:
        """Return the run to go on with, None for a new one."""
        if self._resumed is None:
            return None
        state = self._resumed.state
        return reopen(self._resumed.path, self._resumed.checkpoint, state["at"]["step"] if state is not None else 0)

    @contextmanager
    def _own(self, log: Logger) -> Iterator[Logger]:
        """Open the logger for what is this process's own, in an event file of its own in the one run."""
        path = self.processes.broadcast(log.run.path)
        if self.processes.rank == 0:
            yield log
            return
        sink = TensorBoardSink(self.processes.rank)
        with Logger(Run.unwritten(path), [sink], every_rank=True) as own:
            yield own

    def _end_of_job(self, log: Logger, error: BaseException) -> None:
        """Say in the run's status what a job of several processes ended of; one that is alone says it by itself."""
        if self.processes.world_size == 1:
            return
        if isinstance(error, SystemExit):
            name = SIGNAL_EXIT_CODES.get(error.code) if isinstance(error.code, int) else None
            if name is not None:
                log.close(status="killed", error=f"{name}; torchrun sends it to all processes when one of them ends")
        elif "peer" in str(error) or isinstance(error, torch.distributed.DistError):
            reason = re.sub(r"^\[[^\]]*\] *", "", str(error).splitlines()[0]).partition(". ")[0]
            log.close(status="failed", error=f"another process of the job is gone: {reason}")
            raise JobError(f"another process of the job is gone: {reason}") from error


@contextmanager
def open_job(runner: str, given: dict[str, Any]) -> Iterator[Job]:
    """Join the other processes, if there are any; take over the options of a run to resume; seed."""
    with init_distributed(given["device"]) as processes:
        resumed = adopt(runner, given, processes)
        if given["checkpoint_every"] and not _is_durable(given["sinks"]):
            raise click.BadParameter(
                "needs --sink tensorboard, which keeps the curves before the checkpoint.",
                param_hint="'--checkpoint-every'",
            )
        if processes.world_size > 1:
            processes.local_batch_size(given["batch_size"] or processes.world_size)
            if given["optimizer"] == "lbfgs":
                raise click.BadParameter("lbfgs goes with one process.", param_hint="'--optimizer'")
        device = processes.device or device_of(given["device"])
        torch.manual_seed(given["seed"])
        yield Job(runner, given, processes, device, resumed)


def _is_durable(sinks: tuple[str, ...]) -> bool:
    from monitor.sinks import registry

    return any(registry.make(spec).durable for spec in sinks)
