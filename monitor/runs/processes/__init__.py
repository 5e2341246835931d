"""The processes of a run: which one owns it, its rank, its command, its environment."""
