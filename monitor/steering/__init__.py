"""Steering: what may be changed while a training runs, the requests for it, and their record."""
