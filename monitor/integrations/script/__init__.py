"""`monitor run`: what happens in the process of a script that is run unchanged."""
