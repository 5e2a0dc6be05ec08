"""Sphinx: make docs."""

from __future__ import annotations

import annarchy_tb

project = "annarchy_tb"
author = copyright = "The annarchy_tb developers"
version = release = annarchy_tb.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "numpydoc", "sphinx_click"]
nitpicky = True
# Arguments stand in single backticks in docstrings, as numpydoc wants it.
nitpick_ignore = [
    ("py:obj", name)
    for name in (
        *("by", "clock", "comment", "default", "dt", "every", "experiment"),
        *("filename_suffix", "origin"),
        *("flush_secs", "items", "logdir", "max_queue", "probes", "reduce", "repeats"),
        *("retries", "reverse", "sim", "space", "status", "time_unit", "times"),
        "values",
    )
]
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's docstrings say more
default_role = "py:obj"
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "annarchy_tb"
html_show_sourcelink = False
