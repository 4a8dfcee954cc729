"""The page of variables says what the code reads."""

import os
import re

import pytest

from libs.common.variables import PREFIX, VARIABLES
from tools import configuration


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.mark.rule("X-03")
def test_the_page_is_what_the_code_says() -> None:
    assert configuration.PAGE.read_text(encoding="utf-8") == configuration.page(), "run make configuration"


@pytest.mark.rule("X-03")
def test_every_variable_stands_there_with_its_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", configuration.page(), re.MULTILINE)
    assert [name for name, *_ in rows] == sorted(PREFIX + name for name in VARIABLES)
    assert [name for name, _, readers, meaning in rows if not readers or not meaning] == []
