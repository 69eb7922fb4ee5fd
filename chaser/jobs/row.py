"""Reading values of known types out of a row's JSON. A wrong type is a defect of ours, so it raises TypeError."""

from collections.abc import Mapping, Sequence
from typing import cast


def text(row: Mapping[str, object], key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {type(value).__name__}, not a string")
    return value


def optional_text(row: Mapping[str, object], key: str) -> str | None:
    return None if row.get(key) is None else text(row, key)


def integer(row: Mapping[str, object], key: str) -> int:
    value = row[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{key} is {type(value).__name__}, not an integer")
    return value


def optional_integer(row: Mapping[str, object], key: str) -> int | None:
    return None if row.get(key) is None else integer(row, key)


def number(row: Mapping[str, object], key: str) -> float:
    value = row[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{key} is {type(value).__name__}, not a number")
    return value


def optional_number(row: Mapping[str, object], key: str) -> float | None:
    return None if row.get(key) is None else number(row, key)


def mapping(row: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = row[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is {type(value).__name__}, not an object")
    return cast("dict[str, object]", value)


def texts(row: Mapping[str, object], key: str) -> Sequence[str]:
    value = row[key]
    if not isinstance(value, list):
        raise TypeError(f"{key} is {type(value).__name__}, not a list")
    items = cast("list[object]", value)
    return [text({"item": item}, "item") for item in items]


def mappings(row: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = row[key]
    if not isinstance(value, list):
        raise TypeError(f"{key} is {type(value).__name__}, not a list")
    items = cast("list[object]", value)
    return [mapping({"item": item}, "item") for item in items]
