"""The `add_*` methods of a `SummaryWriter`."""
