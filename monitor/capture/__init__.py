"""What a log call does: check, copy, hand over. Nothing here does I/O or waits for a GPU."""
