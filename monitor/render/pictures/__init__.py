"""Records drawn as PNG images, for dashboards that show pictures."""
