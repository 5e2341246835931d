"""From a command line to a training: options, dashboards, the run, several processes."""
