"""What a training in progress is connected to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runners.training.checkpointing.state import TrainState
from runners.training.distributed import DistributedContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor import Logger
    from runners.training.checkpointing.checkpoints import Checkpoints


@dataclass
class TrainingRun:
    """A training in progress: what it logs to, how far it has come, and the processes that share it."""

    log: Logger
    state: TrainState = field(default_factory=TrainState)
    distributed: DistributedContext = field(default_factory=DistributedContext)
    checkpoints: Checkpoints | None = None
    rank_logger: Logger | None = None  # takes what concerns this process alone
    due_progress: tuple[int, int, int, int] | None = None  # of the last epoch, until its last values are logged
    on_test: Callable[[int], None] | None = None  # called with the step at each test
    gate: Callable[[], None] | None = None  # called before each epoch; may block

    def wait_at_gate(self) -> None:
        """Wait for the other trials of a population, if this is one of them."""
        if self.gate is not None:
            self.gate()

    def save_checkpoint_if_due(self, *, end_of_epoch: bool) -> None:
        """Save a checkpoint if one is due."""
        if self.checkpoints is not None:
            self.checkpoints.save_if_due(self.state, end_of_epoch=end_of_epoch)

    def save_checkpoint(self) -> None:
        """Save a checkpoint now, if the run has any."""
        if self.checkpoints is not None:
            self.checkpoints.save(self.state)

    def steer(self) -> bool:
        """Do what a dashboard asks for; return whether to stop, with a checkpoint to go on from."""
        if not self.log.steer(self.state.step):
            return False
        self.save_checkpoint()
        return True
