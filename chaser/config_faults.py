"""What pydantic found wrong with the settings, in the operator's words."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic_core import ErrorDetails

from chaser.config_sources import Location
from chaser.profiles import DEFAULT


def sentences(details: Sequence[ErrorDetails], names: Mapping[Location, str]) -> Iterable[str]:
    """`names` has how the operator wrote each key that was written."""
    located = [(tuple(str(part) for part in each["loc"] if part != "[key]"), each) for each in details]
    by_default = {
        (location[2:], each["msg"]) for location, each in located if location[:2] == ("profiles", DEFAULT)
    }
    for location, each in located:
        inherited = location[:1] == ("profiles",) and location not in names and location[1:2] != (DEFAULT,)
        if not (inherited and (location[2:], each["msg"]) in by_default):
            yield f"{_name(location, names)}: {_sentence(each)}"


def _name(location: Location, names: Mapping[Location, str]) -> str:
    """How the operator wrote the key: the closest thing at or above `location` that has a name."""
    for length in range(len(location), 0, -1):
        if location[:length] in names:
            rest = location[length:]
            return names[location[:length]] + (f" ({'.'.join(rest)})" if rest else "")
    return ".".join(location)


def _sentence(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "is no setting that this version knows; see docs/configuration.md"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a table"
        case _:
            return detail["msg"].replace("Input should", "must").replace("String should", "must")
