"""Functions of one number whose NumPy form is slow: tanh with its derivative, and erf."""

SMALL = 2048  # elements up to which NumPy's tanh is done before a kernel has begun
