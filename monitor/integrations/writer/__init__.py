"""The parts of `SummaryWriter`, the drop-in for TensorBoard's writers."""
