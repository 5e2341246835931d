"""`monitor replay`."""
