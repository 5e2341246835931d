"""What processes that a run starts log: sent to the process that made the logger."""
