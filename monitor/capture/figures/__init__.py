"""Copies of figures, made during a log call and drawn by a worker."""
