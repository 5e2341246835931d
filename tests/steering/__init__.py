"""Steering: what can be changed, how, and by whom."""
