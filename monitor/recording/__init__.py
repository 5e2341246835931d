"""What a run records by itself, off the training thread: system metrics, the state of the checkout, packages."""
