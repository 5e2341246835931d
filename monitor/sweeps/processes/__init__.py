"""The processes of trials: how they start, and how they end."""
