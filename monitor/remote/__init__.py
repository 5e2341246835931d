"""Runs in an object store: a local run directory that a process of its own uploads, and a local copy to read from."""
