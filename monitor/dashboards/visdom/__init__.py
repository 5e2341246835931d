"""Visdom's own server, with its defects fixed from outside."""
