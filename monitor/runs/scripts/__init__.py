"""Runs of scripts under `monitor run`."""
