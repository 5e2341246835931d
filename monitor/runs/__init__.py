"""Run directories: one run, the list of them, filters, resuming, and which process owns a run."""
