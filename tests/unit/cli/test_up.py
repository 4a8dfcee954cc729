"""Lines that `omnijourney up` prints to be copied into a shell."""

import os
import shlex
from pathlib import Path

import pytest
from rich.text import Text

from libs.cli.up import shown


@pytest.mark.parametrize("name", ["plain", "with space", "資料 夾", "[bold]", "it's", "$(date)"])
def test_a_file_is_printed_so_that_a_shell_reads_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / name, Path(os.sep) / name):
        printed = Text.from_markup(f"$(cat {shown(place / 'token')})").plain
        assert [tmp_path / word for word in shlex.split(printed[6:-1])] == [place / "token"]
