"""Copies of figures, with the newest Matplotlib."""

from tests.capture.test_figure_copy import (
    test_a_copy_follows_its_own_changes_alone,
    test_a_copy_is_drawn_as_the_figure_is,
)

__all__ = ["test_a_copy_follows_its_own_changes_alone", "test_a_copy_is_drawn_as_the_figure_is"]
