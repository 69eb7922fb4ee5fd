"""The two forms of these tests: that of every run, and the long one (`make chaos`), which takes minutes."""

import os

import pytest

IS_LONG = os.environ.get("CHASER_CHAOS") == "long"

LONG = pytest.mark.skipif(not IS_LONG, reason="in the long form only: make chaos")
"""Marks what costs more than it tells in an ordinary run."""
