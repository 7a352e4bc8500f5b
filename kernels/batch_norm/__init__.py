"""Batch normalisation: every channel to mean 0 and variance 1 over the batch."""
