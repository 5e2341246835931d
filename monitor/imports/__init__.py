"""Read the logs of other loggers as records."""
