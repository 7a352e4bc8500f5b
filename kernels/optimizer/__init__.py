"""One step of an optimiser on one parameter, in place."""
