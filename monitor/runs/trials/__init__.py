"""Runs that are trials of a sweep, and the rule by which they prune each other."""
