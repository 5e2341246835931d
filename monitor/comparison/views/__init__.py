"""How a comparison is shown: as a page, on a dashboard, as files."""
