"""Files with definitions, as `omnijourney journey …` reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.cli.journeys import NoText, apply_request

WELCOME = "name: 歡迎\n# 第二行\n"


@pytest.mark.rule("J-42b")
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (WELCOME.encode("utf-16"), "line 1: is no text in UTF-8"),
        (b"name: Welcome\n# " + "歡迎".encode("big5"), "line 2: is no text in UTF-8"),
        (b"#" * (1 << 20) + b"\n", "holds more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_holds_no_definition_says_so_and_what_to_do(
    content: bytes, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "welcome.yaml"
    file.write_bytes(content)
    with pytest.raises(NoText, match=why):
        apply_request("team", file)


def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(NoText):
        apply_request("team", Path("/dev/zero"))


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "welcome.yaml"
    file.write_bytes(WELCOME.encode())
    assert apply_request("team", file).content == WELCOME
