"""Files, network, and priorities of this machine."""
