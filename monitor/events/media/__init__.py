"""Pictures, sound, embeddings, and other media in event files."""
