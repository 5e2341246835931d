"""`monitor runs`: the list, its table, and its groups."""
