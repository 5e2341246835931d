"""The log calls of a logger."""
