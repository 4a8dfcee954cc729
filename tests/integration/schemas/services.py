"""The schemas of an installation, and the files of their functions."""

from typing import Final

from libs.common.db.sql_files import Function, read_functions
from tools.schema import files, functions

SERVICES: Final = files.SERVICES
PLATFORM: Final = "platform"


def functions_of(schema: str) -> list[Function]:
    """The functions that belong into a schema, those that all services share among them."""
    if schema == PLATFORM:
        return read_functions("libs.common.db", "platform_functions")
    return functions.functions_of(schema)
