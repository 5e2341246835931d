"""The course's experiments."""
