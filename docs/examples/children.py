"""Log from child processes: each one's log calls go through the process that made the logger.

python docs/examples/children.py
"""

import multiprocessing

from monitor import Logger


def play(log: Logger, actor: int) -> None:
    """Log from an actor, which runs in a process of its own."""
    for step in range(100):
        log.scalar(f"actor {actor}/reward", step / 100, step)


def main() -> None:
    """Start four actors, which log to one run."""
    with Logger("runs/children", sinks=["tensorboard"], children="forward") as log:
        actors = [multiprocessing.Process(target=play, args=(log, actor)) for actor in range(4)]
        for process in actors:
            process.start()
        for process in actors:
            process.join()


if __name__ == "__main__":
    main()
