"""The browser files that Visdom's page needs: which they are, where they come from, and the verified cache."""
