"""From the command line to a training: options, processes, the run, its dashboards."""
