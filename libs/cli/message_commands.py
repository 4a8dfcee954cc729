"""`omnijourney message`: one function per subcommand."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, client_settings, finish, run

_MEDIA: Final = ("image", "video", "document")

message = typer.Typer(name="message", help="Messages to single people.", no_args_is_help=True)


@message.callback()
def _messages() -> None:
    """Messages to single people."""


@message.command(epilog="Example: omnijourney message templates --team $TEAM")
def templates(*, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List message templates of WhatsApp: name, language, category, state, and why one was refused."""
    from libs.cli import templates as work

    run(data_dir, work.show(team, limit, as_json=as_json))


@message.command(
    "test", epilog="Example: omnijourney message test $CUSTOMER --account LINE --module Hi --team $TEAM"
)
def send_test(
    customer: Annotated[str, typer.Argument(help="Id of the customer who gets it.")],
    *,
    team: Team,
    account: Annotated[str, typer.Option(help="Name or id of the account that sends.")],
    module: Annotated[str, typer.Option(help="Name or id of a bot module.")] = "",
    template: Annotated[str, typer.Option(help="Name or id of a template of the account.")] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="A parameter of the template's body, in their order; may be repeated."),
    ] = None,
    header: Annotated[str, typer.Option(help="The parameter of the template's header.")] = "",
    button: Annotated[
        list[str] | None,
        typer.Option(metavar="INDEX=TEXT", help="The parameter of a template's button; may be repeated."),
    ] = None,
    media: Annotated[
        str,
        typer.Option(
            metavar="KIND=ADDRESS",
            help="What stands in the template's header: image=, video= or document=https://…",
        ),
    ] = "",
    filename: Annotated[str, typer.Option(help="Name of a header's document.")] = "",
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="What messages show as {{trigger.KEY}}; may be repeated."),
    ] = None,
    wait: Annotated[float, typer.Option(min=0, max=600, help="Seconds to wait for its end.")] = 30.0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Send content to one customer as a journey would, in no figures. Exit code 1 if it was not sent."""
    from libs.cli import journeys, trial_messages
    from libs.cli.customer_triggers import data_of

    if bool(module) == bool(template):
        raise typer.BadParameter("give --module or --template, and not both")
    said = trial_messages.Said(
        module,
        template,
        parameter or (),
        header,
        _buttons_of(button or ()),
        data_of(data or ()),
        _media_of(media, filename),
    )
    command = trial_messages.send(team, account, customer, said, wait, as_json=as_json)
    finish(journeys.run(client_settings(data_dir), command))


def _buttons_of(texts: Iterable[str]) -> dict[int, str]:
    """Raises BadParameter for what is no index and text."""
    buttons: dict[int, str] = {}
    for text in texts:
        index, equals, value = text.partition("=")
        if not equals or not index.isascii() or not index.isdigit() or len(index) > 1:
            raise typer.BadParameter(f"--button {text!r}: give INDEX=TEXT, the index from 0 to 9")
        buttons[int(index)] = value
    return buttons


def _media_of(text: str, filename: str) -> tuple[str, str, str]:
    """Kind, address and name of a file, empty for none. Raises BadParameter for what is no kind and address."""
    kind, _, address = text.partition("=")
    if not text and not filename:
        return "", "", ""
    if kind not in _MEDIA or not address:
        raise typer.BadParameter(
            f"--media {text!r}: give one of {', '.join(f'{each}=https://…' for each in _MEDIA)}"
        )
    return kind, address, filename
