"""The subcommands of `monitor`, one file a group."""
