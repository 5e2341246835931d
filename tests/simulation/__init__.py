"""The delivery under a seeded schedule: threads, locks, and time belong to the simulation."""
