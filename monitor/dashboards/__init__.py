"""The dashboards that are not ours: what their pages need, and how they are found or started."""
