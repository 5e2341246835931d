"""Measurements, outside of `make test`: ratios of medians from interleaved repeats in one run."""
