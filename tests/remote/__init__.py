"""Tests of `monitor.remote`."""
