"""From records to pictures, counts and plot points, for every dashboard."""
