"""scikit-learn 1.9 and newer: `estimator.set_callbacks(MonitorCallback(name="search"))`.

The estimators that take callbacks are listed in scikit-learn's user guide; in 1.9 they are `LogisticRegression`,
`StandardScaler`, `Pipeline`, and the grid and random searches.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from monitor.integrations import common
from monitor.rules.alerts import parse_rules
from monitor.sinks.registry import as_list

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

log = logging.getLogger("monitor")

MEAN_SCORE = "mean_test_"  # before the name of a score, in the results of a search


class MonitorCallback:
    """Log the score after each iteration of a fit, and the result of each candidate of a search.

    Each `fit` of the outermost estimator is a run of its own, with the estimator's parameters as its settings. Tags are
    `train/score` for the score on the training data, at the iteration, and `val/score` for the mean score of a
    candidate, at its number. What is fitted in parallel gets one chart, with a curve per fit. With `n_jobs`, the
    scores of other processes go into the same run.

    Attributes:
        max_propagation_depth: how many levels of nested estimators are logged, as scikit-learn wants to know.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        *,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
        scoring: Any = None,
        every: int = 1,
        max_propagation_depth: int | None = 1,
    ) -> None:
        """Log to `logger`, which the caller closes, or else to new runs `logdir/name`.

        Args:
            logger: a logger of the caller's own; with `children="forward"` if other processes fit.
            name: the run's name, by default "sklearn". If `logdir` already holds such a run, a number is added.
            logdir: the folder of the runs. Under `monitor run`, a run without a name or folder is as that says.
            sinks: as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            alerts: as in `Logger`.
            scoring: as in scikit-learn's `check_scoring`; None for the estimator's own score, False for no scores.
                They are computed on the training data, during the fit.
            every: how many iterations there are from one score to the next.
            max_propagation_depth: see above; None for all levels.

        Raises:
            ValueError: if `every` is not positive.
        """
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self.max_propagation_depth = max_propagation_depth
        self._given = logger
        self._name, self._logdir = name, logdir
        self._sinks, self._alerts = as_list(sinks), parse_rules(alerts)
        self._scoring, self._every = scoring, every
        self._failed: set[str] = set()  # the kinds of estimators whose scores have raised an error
        self._loggers: dict[UUID, Logger] = {}  # of the fits that are going on

    def setup(self, estimator: Any, context: Any) -> None:
        """Start the run of a fit; raise `OSError` if it cannot be written."""
        self._loggers[context.root_uuid] = common.open_logger(
            self._given,
            name=self._name,
            default="sklearn",
            logdir=self._logdir,
            sinks=self._sinks,
            config={"estimator": type(estimator).__name__, **_parameters(estimator)},
            alerts=self._alerts,
            children="forward" if self._given is None else "off",
        )
        if self._given is None:
            for tags in ("train/*", "val/*"):
                self._loggers[context.root_uuid].define(tags, goal="max")  # so scikit-learn defines scores

    def __getstate__(self) -> dict[str, Any]:
        """Leave the sink objects in this process; the loggers of another forward to it."""
        sinks = None if self._sinks is None else [sink for sink in self._sinks if isinstance(sink, str)]
        return {**self.__dict__, "_sinks": sinks, "_loggers": dict(self._loggers)}

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing: what has happened is logged at the end of a task."""

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        metadata: Mapping[str, Any] | None = None,
        fitted_estimator: Any = None,
    ) -> None:
        """Log the score of an iteration, or the results of a search."""
        logger = self._loggers.get(context.root_uuid)
        if logger is None:
            return
        if context.parent is None:
            if hasattr(estimator, "cv_results_"):
                _log_search(logger, estimator)
            return
        is_iteration = context.source_task_name is None  # otherwise it is a whole fit, within another estimator's
        has_data = fitted_estimator is not None and X is not None and y is not None
        if is_iteration and has_data and context.task_id % self._every == 0:
            scores = self._scores(fitted_estimator, X, y, metadata or {})
            split, fit = _place(context)
            values = {f"{split}/{name}{fit}": value for name, value in scores.items() if common.is_number(value)}
            if values:
                logger.scalars(values, context.task_id)

    def teardown(self, estimator: Any, context: Any) -> None:
        """End the run, with the status of the exception if the fit raised one. Blocks while the sinks make progress."""
        logger = self._loggers.pop(context.root_uuid, None)
        if logger is not None and self._given is None:
            status, error = common.current_outcome()
            logger.close(status=status, error=error)

    def _scores(self, estimator: Any, x: Any, y: Any, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the scores by name; none if there is no score for this kind of estimator, or if it fails."""
        kind = type(estimator).__name__
        if (
            self._scoring is False
            or kind in self._failed
            or (self._scoring is None and not hasattr(estimator, "score"))
        ):
            return {}
        try:
            from sklearn.metrics import check_scoring

            scores = check_scoring(estimator, self._scoring)(estimator, x, y, **metadata)
        except Exception as error:  # whatever a scorer raises: the fit goes on
            self._failed.add(kind)
            log.warning("no scores of %s: %s", kind, " ".join(str(error).split()))
            return {}
        if isinstance(scores, dict):
            return scores
        return {self._scoring if isinstance(self._scoring, str) else "score": scores}


def _parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator, and of those within it."""
    return {name: value for name, value in estimator.get_params(deep=True).items() if not hasattr(value, "get_params")}


def _place(context: Any) -> tuple[str, str]:
    """Return the first part of a tag and the last: `train` and nothing, or where parallel fits are, and which it is."""
    while context.parent is not None:
        if not context.parent.sequential_subtasks:
            return context.source_task_name or context.task_name, f"/{context.task_id}"
        context = context.parent
    return "train", ""


def _log_search(logger: Logger, search: Any) -> None:
    """Log the mean score of each candidate of a search, and the parameters of the best one."""
    means = {
        key.removeprefix(MEAN_SCORE): mean for key, mean in search.cv_results_.items() if key.startswith(MEAN_SCORE)
    }
    for number in range(len(search.cv_results_["params"])):
        logger.scalars({f"val/{name}": mean[number] for name, mean in means.items()}, number)
    if hasattr(search, "best_params_"):
        common.add_config(logger, {"best_params": search.best_params_, "best_candidate": int(search.best_index_)})
