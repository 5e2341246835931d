"""What is suggested for an unknown name, and how little is listed where nothing comes close."""

from __future__ import annotations

import pytest

from monitor.suggestions import close_matches, hint

TAGS = [f"layer{n}/weight_norm" for n in range(40)] + ["test/accuracy", "test/loss", "train/loss"]


@pytest.mark.parametrize(
    ("given", "known", "expected"),
    [
        ("trian", ["train", "run", "runs"], ["train"]),
        ("Visdom", ["visdom", "console"], ["visdom"]),
        ("LeakyReLU", ["relu", "leaky-relu", "selu"], ["leaky-relu"]),
        ("accurac", TAGS, ["test/accuracy"]),
        ("loss", TAGS, ["test/loss", "train/loss"]),
        ("cifar", ["mnist", "cifar10"], ["cifar10"]),
        ("", TAGS, []),
        ("zzzz", TAGS, []),
    ],
)
def test_what_comes_close(given: str, known: list[str], expected: list[str]) -> None:
    found = close_matches(given, known)
    assert found[: len(expected)] == expected
    assert bool(found) is bool(expected)


def test_a_hint_is_short() -> None:
    assert hint("los", ["test/loss"]) == "; did you mean 'test/loss'?"
    assert hint("zzzz", ["a", "b"], "known sinks") == "; known sinks: a, b"
    assert hint("zzzz", []) == ""
    many = hint("zzzz", TAGS)
    assert many.endswith(", … (33 more)")
    assert many.count("layer") == 10
