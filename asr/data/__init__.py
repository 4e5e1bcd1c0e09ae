"""Manifests and batches for training."""
