"""The log calls for steering."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.steering.controls import Controls


class SteerMethods:
    """What a loop calls to be steered from a dashboard."""

    _controls: Controls

    @property
    def controls(self) -> Controls:
        """What a dashboard may change; without any, an empty `Controls`."""
        return self._controls

    def steer(self, step: int) -> bool:
        """Do what a dashboard asked for, before update `step`; return whether to stop. Call it once at each step.

        Changes the settings of the optimizers, calls the functions of `controls`, and blocks while the training is
        paused: Ctrl-C and SIGTERM end it as they end the loop. On several processes, all of them call it with the same
        steps, and do the same. Without a request, it only reads a field, and on several processes shares one number.

        Raises `TypeError` if the step is not an integer, and what a function of `controls` raises.
        """
        controls = self._controls
        return controls.pending and controls.handle(step)
