"""Training programs, each a runner that `monitor train` starts: its options, its model, its defaults."""
