"""From the inbox to the sinks: one queue and one worker thread per sink."""
