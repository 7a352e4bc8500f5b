"""Whether float32 products may round what they multiply to TF32, on GPUs that are faster at it.

TF32 keeps float32's range and 10 bits of mantissa: results are then good to about three digits.
`tinynet.backends` are the switches.
"""

tf32 = {"conv2d": False, "matmul": False}
