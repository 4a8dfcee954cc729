"""What people see of the messages that emulators were sent, and what they are told where there is none."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.cli.emulators import line_of, words_of
from libs.cli.main import app
from libs.client.found import InstallationFile
from libs.supervisor import InstallationSettings

RUN = CliRunner()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {
                "to": "U1",
                "messages": [{"type": "text", "text": "Hi"}, {"type": "flex", "altText": "An offer"}],
            },
            ["Hi", "An offer"],
        ),
        ({"to": "U1", "messages": [{"type": "image", "originalContentUrl": "https://x"}]}, ["[image]"]),
        ({"to": "8869", "type": "text", "text": {"body": "Hi"}}, ["Hi"]),
        ({"to": "8869", "type": "interactive", "interactive": {"body": {"text": "Which?"}}}, ["Which?"]),
        ({"to": "8869", "type": "template", "template": {"name": "spring"}}, ["[template spring]"]),
        ({"to": "8869", "type": "image", "image": {"link": "https://x"}}, ["[image]"]),
        ({"tag": "", "message": {"text": "Hi"}}, ["Hi"]),
        ({"message": {"attachment": {"type": "template", "payload": {"text": "Which?"}}}}, ["Which?"]),
        ({"message": {"attachment": {"type": "image", "payload": {"url": "https://x"}}}}, ["[attachment]"]),
    ],
)
def test_what_a_person_would_see(body: dict[str, Any], words: list[str]) -> None:
    assert list(words_of(body)) == words


def test_a_message_is_a_line() -> None:
    message = {
        "channel": "line",
        "recipient": "U1",
        "accepted_at": "2026-11-30T10:00:01.5+00:00",
        "body": {"messages": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]},
    }
    assert line_of(message) == "2026-11-30 10:00:01Z  line       U1  Hi | there"


@pytest.mark.parametrize("command", [["emulator", "log"], ["quickstart"]])
def test_where_no_emulator_runs_the_command_says_how_to_start_some(
    command: list[str], tmp_path: Path
) -> None:
    done = RUN.invoke(app, [*command, "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert f"nothing runs in {tmp_path}: start it with `omnijourney up`" in done.output
    InstallationFile(tmp_path).publish({}, "http://127.0.0.1:1")
    done = RUN.invoke(app, [*command, "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "sends to the real channels: start it with `omnijourney up --emulators`" in done.output


def test_an_emulator_that_is_away_is_named(tmp_path: Path) -> None:
    InstallationFile(tmp_path).publish({}, "http://127.0.0.1:1", None, {"line": "http://127.0.0.1:1"})
    done = RUN.invoke(app, ["emulator", "log", "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "the emulator of line at http://127.0.0.1:1/_emulator/log does not answer" in done.output


def test_where_nothing_was_started_the_emulators_are_where_messages_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_LINE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("OMNIJOURNEY_WHATSAPP_URL", "https://graph.facebook.com")
    done = RUN.invoke(app, ["emulator", "log", "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "the emulator of line at http://127.0.0.1:1/_emulator/log does not answer" in done.output
    assert "facebook" not in done.output


@pytest.mark.parametrize("channel", ["line", "whatsapp", "messenger", "instagram"])
def test_an_address_of_a_channel_means_that_messages_go_to_people(
    channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert InstallationSettings().no_channel_is_set
    monkeypatch.setenv(f"OMNIJOURNEY_{channel.upper()}_URL", "https://x.example")
    assert not InstallationSettings().no_channel_is_set
