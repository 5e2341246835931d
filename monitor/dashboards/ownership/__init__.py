"""Whom a server belongs to: leases, the log directory, a parent process."""
