"""What many numbers are reduced to before they are drawn."""
