"""The commands that compare runs, report on them, and take their data out."""
