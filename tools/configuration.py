"""docs/configuration.md: every variable, written from the settings that read it.

``python -m tools.configuration`` writes the page; a test compares it with the code.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from libs.client import SERVICES, ClientSettings
from libs.common.config import DEFAULT_PORTS, METRICS_PORT_DISTANCE, ServiceSettings, variable_of
from libs.common.variables import PREFIX
from libs.console.config import ConsoleSettings
from libs.emulators.config import EmulatorSettings
from libs.supervisor import InstallationSettings
from tools.paths import ROOT

PAGE: Final = ROOT / "docs" / "configuration.md"
_HEAD: Final = """# Configuration

Everything is configured by variables of the environment. An empty one counts as absent. A value that cannot be is named
at start, with its variable, and ends the process with exit code 2; a variable with our prefix that nothing reads is
named, too. `omnijourney doctor` looks at what the variables lead to. This page is written from the code by
`make configuration`.

*Read by*: `services` are all five; `up` is the command line where it starts or migrates an installation; `client` is
the command line and [the Python client](client.md) where they call services; `console` is [the
console](console.md); `emulators` are those of the channels.
"""
_APART: Final = {
    f"{PREFIX}CREDENTIALS_DIR": (
        "services in one process",
        "Folder with the credentials files of all services.",
    ),
    f"{PREFIX}TOOLS_TOKEN": (
        "tools",
        "Token for what services say to each other; stands in `credentials/tools.env`.",
    ),
}
"""What is read by no settings."""


@dataclass(slots=True)
class _Variable:
    default: str
    readers: list[str] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    """By the first who reads it so."""

    @property
    def meaning(self) -> str:
        """One text, or one for each who reads it otherwise."""
        texts = {
            reader: text for reader, text in self.meanings.items() if reader in SERVICES
        } or self.meanings
        if len(texts) < 2:
            return "".join(texts.values())
        return " ".join(f"*{reader}*: {text}" for reader, text in texts.items())


def page() -> str:
    """The page as it has to be."""
    variables = _variables()
    lines = [_HEAD, "| variable | default | read by | meaning |", "|---|---|---|---|"]
    for name, variable in sorted(variables.items()):
        lines.append(f"| `{name}` | {variable.default} | {_readers(variable.readers)} | {variable.meaning} |")
    return "\n".join(lines) + "\n"


def _variables() -> dict[str, _Variable]:
    found: dict[str, _Variable] = {}
    for reader, settings in _settings():
        meanings = dict(_meanings(settings))
        for name, info in settings.model_fields.items():
            variable = variable_of(settings, name)
            meaning = meanings.get(name, "")
            known = found.setdefault(variable, _Variable(_default(settings, name, info)))
            known.readers.append(reader)
            if meaning and meaning not in known.meanings.values():
                known.meanings[reader] = meaning
    for variable, (reader, meaning) in _APART.items():
        found[variable] = _Variable("–", [reader], {reader: meaning})
    return found


def _settings() -> Iterator[tuple[str, type[BaseSettings]]]:
    """Who reads, and by which settings."""
    for service in SERVICES:
        yield service, importlib.import_module(f"services.{service}.config").Settings
    yield "up", InstallationSettings
    yield "client", ClientSettings
    yield "console", ConsoleSettings
    yield "emulators", EmulatorSettings


def _meanings(settings: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    """The strings below the fields of a class and of its bases, on one line each."""
    for kind in reversed(settings.__mro__):
        if not issubclass(kind, BaseSettings) or kind is BaseSettings:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(definition, ast.ClassDef)
        for before, after in zip(definition.body, definition.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                yield before.target.id, " ".join(str(after.value.value).split()).replace("|", "\\|")


def _default(settings: type[BaseSettings], name: str, info: FieldInfo) -> str:
    """As people would write it."""
    if issubclass(settings, ServiceSettings) and name in ("port", "metrics_port"):
        port = DEFAULT_PORTS[settings.service]
        return f"`{port if name == 'port' else port + METRICS_PORT_DISTANCE}`"
    default = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default in ("", None, {}):
        return "–"
    return f"`{default}`"


def _readers(readers: list[str]) -> str:
    services = [reader for reader in readers if reader in SERVICES]
    if len(services) == len(SERVICES):
        readers = ["services", *(reader for reader in readers if reader not in SERVICES)]
    return ", ".join(readers)


def main() -> int:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
