"""Tools for testing derivatives, tinynet's and your own.

    operations   every differentiable operation on awkward inputs, and which operations a call runs
    mutants      derivatives broken on purpose, to prove that the checks notice
    strategies   hypothesis strategies: convolution geometry, shapes that broadcast, arrays
    plugin       the pytest plugin: the `gradcheck` fixture and marker

`strategies` needs hypothesis and `plugin` needs pytest; both come with tinynet[test].
"""
