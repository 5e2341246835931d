"""Rules over the values of a run: alerts, and pruning by peers."""
