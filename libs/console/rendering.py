"""Pages of templates. Everything that comes from outside is escaped; a name that is not given is a fault."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.console.faults import Faults
from libs.console.languages import Words

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")


class Pages:
    """The templates in every language."""

    def __init__(self, words: Mapping[str, Words]) -> None:
        """One environment each: what a template says is then fixed for it."""
        self.version: Final = _static_version()
        self._of = {language: self._environment(each) for language, each in words.items()}

    def render(self, language: str, template: str, context: Mapping[str, Any]) -> str:
        """A page, or a part of one."""
        return self._of[language].get_template(template).render(context)

    def _environment(self, words: Words) -> Environment:
        made = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
            auto_reload=False,
        )
        made.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
        made.globals |= {"static": self.static, "field_state": field_state}
        return made

    def static(self, name: str) -> str:
        """The address of a file of `static/`; another one after each change of any of them."""
        return f"/static/{self.version}/{name}"


def field_state(
    name: str, faults: Faults, help_text: str, required: bool, more: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes of a form's field that say what it needs, and where its help and its fault stand."""
    said = [f"{name}-{kind}" for kind, there in (("help", help_text), ("fault", faults.get(name))) if there]
    return {
        "required": True if required else None,
        "aria-invalid": "true" if faults.get(name) else None,
        "aria-describedby": " ".join(said) or None,
        **more,
    }


def _static_version() -> str:
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
