"""A server that waits for the signals that end it."""

from __future__ import annotations

import signal

from monitor.dashboards.tensorboard.tensorboard_server import EndSignals


def test_signals_may_interrupt_the_wait_for_them_anywhere() -> None:
    """With an event, whose lock the interrupted wait may hold, this breaks within some hundred signals."""
    before = signal.getsignal(signal.SIGALRM)
    end = EndSignals(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0002)
    try:
        came = sum(end.wait(0.0001) for _ in range(20_000))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came > 100
