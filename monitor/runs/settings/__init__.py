"""The settings of a run: taken from any kind of object, flattened, and free of secrets."""
