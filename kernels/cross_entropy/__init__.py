"""Softmax and cross-entropy against class labels, as one operation."""
