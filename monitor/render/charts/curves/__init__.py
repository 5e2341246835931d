"""Charts of curves over the steps."""
