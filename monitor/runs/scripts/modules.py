"""Whether there is a module to run, as `python -m` would find it from the working directory."""

from __future__ import annotations

import sys
from itertools import accumulate
from pathlib import Path


def has_module(name: str) -> bool:
    """Tell whether there is a module, without importing it or the package that it is in. In doubt, it is there."""
    parts = name.split(".")
    if not all(parts):
        return False
    paths: list[str] | None = [str(Path.cwd()), *sys.path]
    for part in accumulate(parts, "{}.{}".format):
        if paths is None:
            return False  # what it should be in is no package
        try:  # finders of other packages too, such as those of projects that are installed for editing
            specs = (finder.find_spec(part, paths) for finder in sys.meta_path)
            spec = next((found for found in specs if found is not None), None)
            if spec is None:
                return False
            paths = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
            if paths and spec.origin and b"__path__" in Path(spec.origin).read_bytes():
                return True  # it decides itself where its modules are
        except Exception:  # such as a package without `__init__.py` in another one
            return True
    return True
