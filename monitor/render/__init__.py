"""Turn records into images, histogram counts, and plot points, for every dashboard."""
