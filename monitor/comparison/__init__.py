"""Runs side by side: in numbers, and as a page."""
