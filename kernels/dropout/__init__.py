"""Dropout with a counter-based random stream: one key, one mask, on every backend."""
