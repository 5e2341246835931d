"""The index beside event files: the curves at the resolution that charts have."""
