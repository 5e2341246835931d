"""The Visdom sink."""
