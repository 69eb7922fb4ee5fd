"""docs/pains.md names tests for what it promises: they are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs/pains.md").read_text(encoding="utf-8"))


def test_every_pain_names_a_test() -> None:
    lines = (ROOT / "docs/pains.md").read_text(encoding="utf-8").splitlines()
    pains = [line for line in lines if re.match(r"\| P\d", line)]
    assert len(pains) == 15
    assert all("::test_" in line for line in pains)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in there
