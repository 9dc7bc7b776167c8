"""Trains RefineTex, the paper's network and COMPACT, on synthetic people."""
