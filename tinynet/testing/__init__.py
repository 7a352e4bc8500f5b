"""Tools for testing derivatives, tinynet's and your own.

    operations   every differentiable operation on awkward inputs, and which operations a call runs
    mutants      derivatives broken on purpose, to prove that the checks notice
    strategies   hypothesis strategies: convolution geometry, shapes that broadcast, arrays
    plugin       the pytest plugin: the `gradcheck` fixture and marker
    exercises    the notebooks' exercises: `check("02-3", answer)`

`strategies` needs hypothesis and `plugin` needs pytest; both come with tinynet[test].
"""

from .exercises import check

__all__ = ["check"]
