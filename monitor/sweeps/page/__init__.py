"""The page of a sweep on a dashboard."""
