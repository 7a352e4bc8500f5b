"""Max and average pooling over two-dimensional windows."""
