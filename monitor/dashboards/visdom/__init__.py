"""Visdom's own server, with its defects fixed from outside.

Visdom's package loads PyTorch if it is installed, which takes most of the server's start and 450 MB, and which only its
client needs, for tensors.
"""

import sys

if "torch" not in sys.modules:
    sys.modules["torch"] = None  # type: ignore[assignment]  # importing it fails, which visdom expects
    try:
        import visdom  # noqa: F401
    finally:
        del sys.modules["torch"]
