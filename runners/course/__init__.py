"""The course's experiments: `monitor lessons`."""
