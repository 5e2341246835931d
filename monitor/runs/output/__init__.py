"""What a run writes to its terminal, kept in `output.log`."""
