"""The benchmark: `tinynet bench kernels | ops | models | memory | import | compile`.

Each library runs in a worker process (worker.py) behind a small adapter (peers/), on the same
program, weights and data (programs.py, networks.py). Answers are verified first (verify.py), then
the programs take turns (timing.py). Rows go into a JSON file (result.py), from which come the
comparison of two runs (compare.py), Markdown and the document (report.py), and pictures
(pictures.py).
"""
