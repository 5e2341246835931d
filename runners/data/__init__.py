"""Data sets: images and small tables, found or downloaded."""
