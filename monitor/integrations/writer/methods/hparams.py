"""Hyperparameters of a `SummaryWriter`, in the run's own file."""

from __future__ import annotations

import time
from typing import Any

from monitor.integrations.writer.methods.base import WriterMethods
from monitor.integrations.writer.summaries import capture, plain
from monitor.records import Config
from monitor.runs.settings.convert import to_settings
from monitor.runs.settings.masking import mask_settings


class HParamsMethods(WriterMethods):
    """Hyperparameters and the metrics that they led to."""

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | str | None = None,
        run_name: Any = None,
        global_step: Any = None,
        name: str | None = None,
    ) -> None:
        """Add hyperparameters, and metrics to compare them by, to this run.

        The stock classes make another run for them, in a subdirectory. Here that happens only for what one run cannot
        hold: hyperparameters that differ from those of an earlier call, and those of a run that the call names.

        Args:
            hparam_dict: hyperparameters by name: bool, str, float, int, or None. Secrets are masked.
            metric_dict: values by tag, each as in `add_scalar`.
            hparam_domain_discrete: by name, all values that a hyperparameter can have.
            run_name: names the run in a subdirectory.
            global_step: the step of the metrics.
            name: the same as `run_name`.

        Raises:
            TypeError: if one of the first two is not a dict.
            ValueError: if a hyperparameter is of another type.
        """
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        if isinstance(hparam_domain_discrete, str):  # tensorboardX's third and fourth
            global_step = run_name if global_step is None else global_step
            name, hparam_domain_discrete, run_name = hparam_domain_discrete, None, None
        hparam_dict = mask_settings(hparam_dict)
        summaries = None
        if hparam_domain_discrete is not None:
            domains = mask_settings(hparam_domain_discrete)
            summaries = self._builders.call("hparams", hparam_dict, metric_dict, hparam_domain_discrete=domains)
        elif not (plain.are_settings(hparam_dict) and all(map(plain.is_text, metric_dict))):
            summaries = self._builders.call("hparams", hparam_dict, metric_dict)
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, None)
        settings = to_settings(hparam_dict, "hparam_dict")
        run_name = run_name or name
        if run_name is None and writer.settings not in (None, settings):
            run_name = str(time.time())
        directory = "" if run_name is None else f"{writer.get_logdir()}/{run_name}"
        if summaries is None:
            records = capture.hparams(self._builders, hparam_dict, metric_dict, directory, step, now)
        else:
            records = [capture.file_summary(directory, "hparams", summary, step, now) for summary in summaries]
        if run_name is None:
            writer.settings = settings
            records = [Config(settings, now), *records]
        writer.put(capture.ready, *records)
        if run_name is None:
            names = [writer.names.name(self._builders.clean_tag(tag)) for tag in metric_dict]
        else:
            names = [
                writer.names.name(self._builders.clean_tag(tag), directory, f"{run_name}/{tag}") for tag in metric_dict
            ]
        values = list(zip(names, metric_dict.values()))
        writer.put(capture.scalars, values, step, now, self._builders)
