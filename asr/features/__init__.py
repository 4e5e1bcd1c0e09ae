"""Samples become feature frames, whole or streamed."""
