"""Functions of one number whose NumPy form is slow: tanh and erf."""

SMALL = 4096  # elements up to which NumPy's tanh is done before a kernel has begun
