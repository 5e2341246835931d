"""Sphinx's settings. `make docs` builds the site into `docs/_build/html`, with warnings as errors."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

import monitor
from monitor import testing

if TYPE_CHECKING:
    import click
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "training-monitor"
author = "the training-monitor authors"
copyright = f"2026, {author}"
version = release = monitor.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
smartquotes = False  # `--sink` keeps its two hyphens
# Nothing on the pages comes from another host: furo brings its styles and scripts, and the search is Sphinx's own.
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
myst_heading_anchors = 3

default_role = "py:obj"  # `Logger` in a docstring becomes a link where the name is known, and code elsewhere
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False


def warn_of_missing_names(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn about public names that the API reference does not describe."""
    described = set(env.domains["py"].data["objects"])
    public = [f"monitor.{name}" for name in monitor.__all__ if name not in ("__version__", "testing")]
    public += [
        f"monitor.testing.{name}"
        for name, value in vars(testing).items()
        if inspect.isfunction(value) and value.__module__ == testing.__name__ and not name.startswith("_")
    ]
    for name in public:
        if name not in described:
            logging.getLogger(__name__).warning("the API reference lacks %s", name)


def skip_fields(_app: Sphinx, _what: str, _name: str, value: object, *_: Any) -> bool | None:
    """Leave out the fields of a named tuple: its signature lists them, and they have no docstrings of their own."""
    return True if type(value).__name__ == "_tuplegetter" else None


def keep_colons(_app: Sphinx, _what: str, _name: str, _value: object, _options: Any, lines: list[str]) -> None:
    """Make what has a colon, such as `http://host`, plain code: napoleon may take what is before it for a type."""

    def as_code(found: re.Match[str]) -> str:
        return f"`{found[0]}`" if ":" in found[0] and not found[0].startswith("``") else found[0]

    lines[:] = [re.sub(r"``.+?``|(?<!:)`[^`]+`", as_code, line) for line in lines]


def drop_generated_line(_app: Sphinx, _what: str, _name: str, _value: object, _options: Any, lines: list[str]) -> None:
    """Drop the line that every named tuple gets as the docstring of its constructor."""
    lines[:] = [line for line in lines if not line.startswith("Create new instance of ")]


def clean_help(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    """Escape the asterisk of a pattern such as `mlp-*`, and show paths that are defaults as the user types them."""
    lines[:] = [re.sub(r"PosixPath\('(.*?)'\)", r"'\1'", line.replace("*", r"\*")) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("env-check-consistency", warn_of_missing_names)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", drop_generated_line)
    app.connect("sphinx-click-process-description", clean_help)
    app.connect("sphinx-click-process-options", clean_help)
