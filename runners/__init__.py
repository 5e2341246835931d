"""Training programs: each module is a runner that `monitor train` starts, with its options, model and defaults."""
