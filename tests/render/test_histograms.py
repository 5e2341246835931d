"""Histograms of unequal buckets are drawn as densities, whatever their edges are."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import records as r
from monitor.render.reduction.histograms import even_bins
from monitor.sinks.visdom import windows
from monitor.sinks.visdom.record_windows import histogram


def growing_edges() -> np.ndarray:
    """Return the edges of PyTorch's buckets from 0 to 1: each is a tenth wider than the one before."""
    edges = 1e-12 * 1.1 ** np.arange(400)
    return np.concatenate([[0], edges[edges < 1], [1]])


def test_a_uniform_sample_is_flat() -> None:
    values = np.random.default_rng(0).random(100_000)
    counts, edges = np.histogram(values, growing_edges())
    heights, even = even_bins(counts.astype(float), edges, 50)
    assert np.allclose(np.diff(even), 0.02)
    assert heights.sum() == pytest.approx(100_000)
    assert np.abs(heights / 2000 - 1).max() < 0.1
    normal = np.random.default_rng(0).normal(size=100_000)
    both = np.concatenate([-10 * growing_edges()[:0:-1], 10 * growing_edges()])
    counts, edges = np.histogram(normal, both)
    heights, even = even_bins(counts.astype(float), edges, 100)
    truth = 100_000 * 0.2 * np.exp(-((even[:-1] + 0.1) ** 2) / 2) / np.sqrt(2 * np.pi)
    assert np.abs(heights - truth).max() < 0.1 * truth.max()


def test_equal_buckets_stay_as_they_are() -> None:
    counts, edges = np.array([1.0, 5.0, 2.0]), np.array([0.0, 0.1, 0.2, 0.3])
    assert even_bins(counts, edges, 50) == (counts, edges)


@pytest.mark.parametrize(
    "edges",
    [
        [0, 0, 1, 3],
        [0, 1, 1, 1],
        [2, 2, 2, 2],
        [0, 1e-300, 1e100, 1e100],
        [-1.7e308, 0, 1, 1.7e308],
        [1, 1 + 2**-52, 1 + 2**-51, 1 + 2**-51],
        [0, 5e-324, 1e-323, 2e-323],
    ],
)
def test_odd_edges_lose_no_count(edges: list[float]) -> None:
    counts = np.array([3.0, 2.0, 4.0])
    heights, even = even_bins(counts, np.array(edges, float), 50)
    assert heights.sum() == pytest.approx(9)
    assert len(even) == len(heights) + 1
    assert (even[0], even[-1]) == (edges[0], edges[-1])
    assert (heights >= 0).all()
    window = histogram(r.Histogram("h", np.zeros(0), 0, 0.0, (counts, np.array(edges, float))))
    assert sum(window["data"][0]["y"]) == pytest.approx(9)
    assert windows.encode(window)


def test_a_spike_at_zero_does_not_hide_the_rest() -> None:
    """Half of the values are exactly 0, as after a ReLU: their bucket is 10^-12 wide, and no bar is 10^12 high."""
    edges = growing_edges()
    counts, _ = np.histogram(np.concatenate([np.zeros(500), np.random.default_rng(0).random(500)]), edges)
    heights, _ = even_bins(counts.astype(float), edges, 50)
    assert 500 <= heights[0] < 530
    assert heights[1:].sum() > 470
