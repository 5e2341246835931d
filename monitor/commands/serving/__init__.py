"""`monitor serve`."""
