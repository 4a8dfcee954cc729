"""`omnijourney emulator`: one function per subcommand."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from libs.cli.options import DataDir, configured, finish


class ChannelName(StrEnum):
    """The channels that have an emulator, as people write them."""

    LINE = "line"
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"


emulator = typer.Typer(
    name="emulator", help="The emulators that stand in for the channels.", no_args_is_help=True
)


@emulator.callback()
def _emulators() -> None:
    """The emulators that stand in for the channels."""


@emulator.command(
    epilog="Example: omnijourney emulator log --channel line --follow",
)
def log(
    *,
    channel: Annotated[
        list[ChannelName] | None,
        typer.Option(help="Only this channel; may be repeated. [default: all]", show_default=False),
    ] = None,
    recipient: Annotated[
        str, typer.Option(help="Only to this person: a LINE user id, a number, a PSID.")
    ] = "",
    last: Annotated[int, typer.Option(min=1, max=10_000, help="So many messages, the newest.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Also those that come, until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line, with the whole request.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Show the messages that the emulators were sent, oldest first."""
    from libs.cli import emulators
    from libs.supervisor import InstallationSettings

    settings = configured(InstallationSettings, {"data_dir": data_dir} if data_dir is not None else {})
    addresses = {name: str(getattr(settings, f"{name}_url")) for name in emulators.CHANNELS}
    finish(
        emulators.show_log(
            settings.data_dir, addresses, channel or (), recipient, last, follow=follow, as_json=as_json
        )
    )
