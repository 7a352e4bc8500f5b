"""Two-dimensional convolution (cross-correlation) and its two gradients, in several algorithms."""
