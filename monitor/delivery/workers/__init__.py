"""What delivers to one sink: its queue, its thread, its batches."""
