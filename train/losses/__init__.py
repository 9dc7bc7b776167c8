"""Losses, one file a paper."""
