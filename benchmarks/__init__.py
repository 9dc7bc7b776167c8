"""Ratios measured in one run, on one machine, with the same threads."""
