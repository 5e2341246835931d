"""Read event files, of which many events are decoded at once."""
