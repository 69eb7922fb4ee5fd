"""`[registries."<host>"]`: how images of a registry are fetched."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, GetCoreSchemaHandler, GetPydanticSchema
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from chaser.config_values import SecretText, Table, whole_text
from chaser.sandboxes.registry import Registry


class RegistryTable(Table):
    """`[registries."<host>"]`: how images of that registry are fetched."""

    username: Annotated[str, Field(min_length=1)] | None = None
    password: SecretText | None = None
    mirror: Annotated[
        str | None,
        whole_text(
            lambda text: re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._/-]*)?", text) is not None,
            'must be a host with its port and path, such as "mirror.example:5000/ghcr", without https://',
        ),
    ] = None


def _registry_schema(_source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
    def named(tables: dict[str, RegistryTable]) -> Mapping[str, Registry]:
        return {
            host: Registry(host, table.username, table.password, table.mirror)
            for host, table in tables.items()
        }

    tables = handler.generate_schema(dict[str, RegistryTable])
    return no_info_after_validator_function(named, tables)


Registries = Annotated[Mapping[str, Registry], GetPydanticSchema(_registry_schema)]
"""Read as tables, kept as the core's own values, by host."""
