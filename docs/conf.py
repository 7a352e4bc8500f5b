"""The documentation as a site: `sphinx-build -W docs build/docs`, then open build/docs/index.html.

The pages are Markdown and can be read as they are; here they get the API pages beside them, made
from the docstrings, and links into the code lead to its highlighted source.
"""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version as installed
from pathlib import Path

project = "tinynet"
version = release = installed("tinynet")

extensions = [
    "myst_nb",  # Markdown, and the notebooks with the outputs they were committed with
    "sphinx.ext.autodoc",
    "sphinx.ext.apidoc",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
]
html_theme = "furo"
html_title = "tinynet"
nb_execution_mode = "off"  # tests/test_notebooks.py runs them
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

apidoc_modules = [
    {
        "path": "../tinynet",
        "destination": "api",
        "separate_modules": True,
        "module_first": True,
        "exclude_patterns": [
            "../tinynet/**/data",
            "../tinynet/bench/peers",
            "../tinynet/utils/tensorboard.py",  # needs tensorboardX
        ],
        "automodule_options": {"members", "show-inheritance"},
    }
]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature says them
suppress_warnings = ["myst.xref_missing"]  # files outside docs/, which Markdown readers can open

# Notebooks stand beside docs/ and Sphinx reads one folder: they are copied for the build.
HERE = Path(__file__).parent
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns(".*"))

CODE_LINK = re.compile(r"\]\((?:\.\./)+((?:tinynet|kernels)/[\w/]+)\.py(?:#L\d+)?\)")
PARAMETER = re.compile(r"(\*{0,2}\w+(?:, \w+)*): (.+)")


def inside(app, docname, source):
    """Links that lead out of docs/, for readers of the files, lead to pages of the site instead."""
    up = "../" * docname.count("/")

    def code_page(link):
        return f"]({up}_modules/{link[1].replace('kernels', 'tinynet/kernels', 1)}.html)"

    text = CODE_LINK.sub(code_page, source[0])
    source[0] = text.replace(f"]({up}../notebooks/", f"]({up}notebooks/")


def paragraphs(app, what, name, obj, options, lines):
    """Docstrings are plain text: indented blocks are formulas or tables, backticks are code.

    A line such as `gain: the factor` describes a parameter, with the indented lines after it.
    """
    text: list[str] = []
    block = item = False
    for line in lines:
        indented = line.startswith("    ")
        after_blank = not text or not text[-1]
        if indented and (block or (after_blank and not item)):
            if not block:
                text += [".. code-block:: text", ""]
            block = True
            text.append(line)
            continue
        if block and line and not indented:
            block = False
            text.append("")
        line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line.strip())
        line = re.sub(r"(?<!\w)([*|_]+)(?!\s|$)|([*_|]+)(?!\w)", r"\\\1\2", line)
        parameter = PARAMETER.match(line) if not indented else None
        if parameter:
            if text and text[-1] and not text[-1].startswith(("- ", "  ")):
                text.append("")
            text.append(f"- **{parameter[1]}**: {parameter[2]}")
            item = True
        elif item and indented:
            text.append("  " + line)
        else:
            if item and line:
                text.append("")
            item = False
            text.append(line)
    lines[:] = text


def defined_elsewhere(app, what, name, obj, skip, options):
    """A package's page leaves out what it only passes on: that stands on its own module's page."""
    if what == "module" and hasattr(obj, "__module__"):
        return skip or obj.__module__ != app.env.current_document.autodoc_module
    return skip


def setup(app):
    app.connect("autodoc-skip-member", defined_elsewhere)
    app.connect("source-read", inside)
    app.connect("autodoc-process-docstring", paragraphs)
