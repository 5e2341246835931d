"""`make soak`: random real faults over three parallel runs, from a seed, with everything looked up after each round."""
