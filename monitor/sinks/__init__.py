"""Where records go: one file a sink, all over the one contract in `base`."""
