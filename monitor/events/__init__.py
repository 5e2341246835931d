"""TensorBoard's event files: framing, writing, reading back as records."""
