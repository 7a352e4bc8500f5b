"""Activations that are limited by memory: one pass forward, one pass backward."""
