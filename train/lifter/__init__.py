"""Learned lifter of s03: how it is trained and scored."""
