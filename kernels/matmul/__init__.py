"""Matrix products, batched."""
