"""What a checkpoint holds, and its file."""
