"""One step of an optimiser on all its parameters, in place; the norm of all gradients."""
