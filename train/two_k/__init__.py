"""Trains COMPACT, our 2K2K, on synthetic people."""
