"""TensorBoard's server, and the views that it serves."""
