"""Datasets, scores and what can be said about them."""
