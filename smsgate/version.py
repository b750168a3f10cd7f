"""The version of this code; `pyproject.toml` holds the same, a test compares."""

from typing import Final

VERSION: Final = "0.1.0"
