"""A pipeline from a YAML or JSON file: the `input` of a `pipeline.run`, and the lines on which its parts stand."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from chaser.cli import document
from chaser.cli.failure import Failure

_STDIN = "-"
_MOST_NODES = 100_000
"""Aliases of YAML can make a few lines stand for billions of values."""
_ENVIRONMENTS = frozenset({"env", "secrets"})
_PLAIN = "tag:yaml.org,2002:"
_TEXT = frozenset({"str", "timestamp"})
_VALUES = frozenset({"int", "float", "bool", "null"})


@dataclass(frozen=True, slots=True)
class PipelineFile:
    name: str
    input: Mapping[str, object] = field(repr=False)
    lines: Mapping[str, int] = field(repr=False)
    """Line numbers by JSON pointer into `input`."""

    @property
    def step_names(self) -> list[str]:
        steps = [document.table(step) for step in document.items(self.input.get("steps"))]
        return [str(step.get("name") or f"step {number}") for number, step in enumerate(steps, 1)]

    def located(self, refusal: Failure) -> Failure:
        """The service's refusal, with the lines that its fields stand on."""
        fields = [document.table(each) for each in document.items(refusal.details.get("fields"))]
        told = [f"  {self._place(str(each.get('pointer')))}: {each.get('reason')}" for each in fields]
        if not told:
            return refusal
        message = "\n".join([refusal.message.partition("\n")[0], *told])
        return Failure(refusal.code, message, refusal.exit_status, refusal.details)

    def _place(self, pointer: str) -> str:
        inner = wanted = pointer.removeprefix("/input")
        if inner == pointer:
            return pointer  # of what was typed, not written
        while wanted and wanted not in self.lines:
            wanted = wanted.rpartition("/")[0]
        line = self.lines.get(wanted)
        return pointer if line is None else f"{self.name}:{line}: {inner}"


def read(path: str) -> PipelineFile:
    """Raises `Failure` if it cannot be read, or holds no pipeline."""
    name = "stdin" if path == _STDIN else path
    try:
        content = sys.stdin.buffer.read() if path == _STDIN else Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise _failure(f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _failure(f"{name} is not UTF-8 text.") from None
    return parse(name, text)


def parse(name: str, text: str) -> PipelineFile:
    as_json = _json(text)
    reader = _Reader(name)
    if as_json is None:
        value = reader.read(text)
    else:
        value = as_json
        # JSON with spaces for tabs is YAML, which knows lines; where it does not, they are missing
        with suppress(Failure):
            reader.read(text.replace("\t", " "))
    pipeline = document.table(value)
    if not document.items(pipeline.get("steps")):
        raise _failure(f"{name} holds no pipeline: it must be a table with `steps`, a list of tables.")
    return PipelineFile(name, pipeline, reader.lines)


def _json(text: str) -> object | None:
    try:
        return json.loads(text)
    except ValueError:
        return None


class _Reader:
    """Values from YAML: what JSON knows, and no more. Dates stay text, and so does every value of an environment."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = _MOST_NODES
        self._above: list[yaml.Node] = []
        self._flattened = set[int]()
        self.lines: dict[str, int] = {}

    def read(self, text: str) -> object:
        try:
            self._loader = yaml.SafeLoader(text)
            node = self._loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise _failure(f"{self._name}:{line}: {error.problem or error.context}.") from None
        except yaml.YAMLError as error:
            raise _failure(f"{self._name}: {error}.") from None
        try:
            return None if node is None else self._value(node, "", text=False)
        except ValueError as error:  # a number that is none, under a tag that says it is one
            raise _failure(f"{self._name}: {error}.") from None

    def _value(self, node: yaml.Node, pointer: str, *, text: bool) -> object:
        self.lines.setdefault(pointer, node.start_mark.line + 1)
        self._left -= 1
        if self._left < 0:
            raise self._fault(node, "the file stands for too many values")
        if any(node is each for each in self._above):
            raise self._fault(node, "a value holds itself")
        self._above.append(node)
        value = self._inner(node, pointer, text=text)
        self._above.pop()
        return value

    def _inner(self, node: yaml.Node, pointer: str, *, text: bool) -> object:
        kind = node.tag.removeprefix(_PLAIN)
        match node:
            case yaml.MappingNode() if kind == "map":
                return dict(self._entries(node, pointer))
            case yaml.SequenceNode() if kind == "seq":
                return [
                    self._value(each, f"{pointer}/{index}", text=False)
                    for index, each in enumerate(node.value)
                ]
            case yaml.ScalarNode() if text or kind in _TEXT:
                return node.value
            case yaml.ScalarNode() if kind in _VALUES:
                return self._loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType]
            case _:
                raise self._fault(node, f"{kind} is not known here")

    def _entries(self, node: yaml.MappingNode, pointer: str) -> Iterator[tuple[str, object]]:
        if id(node) not in self._flattened:
            self._check_names(node)
            self._flattened.add(id(node))
            self._loader.flatten_mapping(node)
        textual = pointer.rpartition("/")[2] in _ENVIRONMENTS
        for key, value in node.value:
            inner = f"{pointer}/{_escaped(key.value)}"
            self.lines[inner] = key.start_mark.line + 1
            yield key.value, self._value(value, inner, text=textual)

    def _check_names(self, node: yaml.MappingNode) -> None:
        """Before the names of `<<` come to those that are written, and may be among them."""
        seen = set[str]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._fault(key, "a name must be text")
            if key.value in seen:
                raise self._fault(key, f"{key.value} is there twice")
            seen.add(key.value)

    def _fault(self, node: yaml.Node, why: str) -> Failure:
        return _failure(f"{self._name}:{node.start_mark.line + 1}: {why}.")


def _escaped(name: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc6901#section-3"""
    return name.replace("~", "~0").replace("/", "~1")


def _failure(message: str) -> Failure:
    return Failure("invalid_pipeline", message, 2)
