"""Data sets: images and small tables, read from disk or downloaded."""
