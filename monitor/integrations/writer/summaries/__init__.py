"""From the arguments of an `add_*` call to a summary: check, copy, build, encode."""
