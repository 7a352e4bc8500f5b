"""The libraries that are compared, one small adapter each, imported in a worker process only.

An adapter has `start(threads)`, which imports the library and returns its versions, and whichever
of these it can do; each takes the task and returns (a function to time, its answers):

    training(task)      one step of SGD on task["model"] with task["batch"] images
    inference(task)     the scores of task["batch"] images, nothing recorded
    operation(task)     a chain of small operations
    kernel(task)        a case of a kernel family

`training` and `inference` get task["setting"], the name of a way to run the library ("" is the
usual one). What cannot be done is a NotImplementedError that says why.
"""

# The order of the tables. The first is what is compared, the second what with.
PEERS = ("tinynet", "pytorch", "numpy", "jax", "tinygrad", "autograd", "dezero", "chainer")
