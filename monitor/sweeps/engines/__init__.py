"""The engines that choose the values of trials: Optuna's, and Ray Tune's."""
