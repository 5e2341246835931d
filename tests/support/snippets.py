"""The snippets of the pages, by their section."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, title: str) -> str:
    """Return the Python code under the heading `title` of a page of the docs, up to the next heading."""
    parts = re.split(r"^## (.+)\n", (DOCS / page).read_text(), flags=re.M)
    texts = dict(zip(parts[1::2], parts[2::2]))
    return "\n".join(re.findall(r"^```python\n(.*?)^```", texts[title], re.M | re.S))
