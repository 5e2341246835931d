"""Sweeps: many trials of one program over a space of its options, as `monitor sweep` starts them."""
