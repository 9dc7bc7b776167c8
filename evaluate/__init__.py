"""Measuring quality: readers of ground truth, renderer, metrics, tables and pictures. `python -m evaluate --help`."""
