"""Real servers, readers and processes for the tests."""
