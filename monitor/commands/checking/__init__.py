"""`monitor doctor` and `monitor assets`: whether this machine has what is needed."""
