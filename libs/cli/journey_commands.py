"""`omnijourney journey`: one function per subcommand; `libs.cli.journeys` does the work."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, believed, run

journey = typer.Typer(
    name="journey", help="Journeys as texts: read, compared, applied, published.", no_args_is_help=True
)

Files = Annotated[
    list[Path],
    typer.Argument(exists=True, dir_okay=False, help="Texts of journeys: YAML, or JSON where named .json."),
]
Journeys = Annotated[list[str], typer.Argument(help="Names or ids of journeys.")]
Etag = Annotated[str, typer.Option(help="Only if this is the journey's etag still. [default: no check]")]


@journey.command("list", epilog="Example: omnijourney journey list --team $TEAM --json")
def list_journeys(
    *,
    team: Team,
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List journeys, newest first."""
    from libs.cli import records

    run(data_dir, records.journeys(team, limit, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey get Welcome --team $TEAM")
def get(
    name: Annotated[str, typer.Argument(help="Name or id of the journey.")],
    *,
    team: Team,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON instead of YAML.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write a journey's text to stdout."""
    from libs.cli import journeys

    run(data_dir, journeys.get(team, name, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey validate welcome.yaml --team $TEAM")
def validate(files: Files, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Say what keeps texts from being published, with file, line and field. Exit code 1 if anything does."""
    from libs.cli import journeys

    run(data_dir, journeys.validate(team, files, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey diff welcome.yaml --team $TEAM --exit-code")
def diff(
    files: Files,
    *,
    team: Team,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 if anything is different.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what applying texts would change; changes nothing."""
    from libs.cli import journeys

    run(data_dir, journeys.diff(team, files, exit_code=exit_code, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey apply welcome.yaml --team $TEAM")
def apply(
    files: Files,
    *,
    team: Team,
    journey_id: Annotated[
        str,
        typer.Option("--id", help="The journey to edit. [default: the one of the text's name, or a new one]"),
    ] = "",
    etag: Etag = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make journeys what texts say: new drafts, or edits as far as the status of a journey allows them."""
    from libs.cli import journeys

    if len(files) > 1 and (journey_id or etag):
        raise typer.BadParameter("--id and --etag are for one file")
    run(data_dir, journeys.apply(team, files, journey_id, etag, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey publish Welcome --team $TEAM")
def publish(names: Journeys, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Make drafts live. Exit code 1, with every fault, if one cannot be."""
    from libs.cli import journeys

    run(data_dir, journeys.publish(team, names, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey stop Welcome --team $TEAM")
def stop(names: Journeys, *, team: Team, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Stop journeys: afterwards no message of theirs leaves."""
    from libs.cli import journeys

    run(data_dir, journeys.stop(team, names, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey explain Welcome $CUSTOMER --team $TEAM")
def explain(
    name: Annotated[str, typer.Argument(help="Name or id of the journey.")],
    customer: Annotated[str, typer.Argument(help="The customer (UUID).")],
    *,
    team: Team,
    event: Annotated[str, typer.Option(help="Only this event (UUID), with the steps that it led to.")] = "",
    newest: Annotated[int, typer.Option(min=1, help="So many events, the newest.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Tell why a customer entered a journey, or why not, event by event."""
    from libs.cli.journey_explanations import explain as explain_entries

    command = explain_entries(team, name, customer, event, newest=newest, as_json=as_json)
    run(data_dir, command)


@journey.command(epilog="Example: omnijourney journey waits Welcome --team $TEAM")
def waits(
    name: Annotated[str, typer.Argument(help="Name or id of the journey.")],
    *,
    team: Team,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show how many wait at each node now, for what, and when the first of them goes on."""
    from libs.cli.journey_enrolments import waits as count_waits

    run(data_dir, count_waits(team, name, as_json=as_json))


@journey.command(
    epilog='Example: omnijourney journey end Welcome $CUSTOMER --team $TEAM --note "asked us to stop"'
)
def end(
    name: Annotated[str, typer.Argument(help="Name or id of the journey.")],
    customer: Annotated[str, typer.Argument(help="The customer (UUID).")],
    *,
    team: Team,
    note: Annotated[str, typer.Option(help="Why; shown with the step.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """End what a customer does in a journey: afterwards nothing of it leaves. Exit code 1 if they are not inside."""
    from libs.cli.journey_enrolments import end as end_enrolments

    run(data_dir, end_enrolments(team, name, customer, note, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey simulate welcome.yaml --team $TEAM --since 2026-05-01")
def simulate(
    subject: Annotated[
        str, typer.Argument(help="Name or id of a journey, or a file with a text, which need not be applied.")
    ],
    *,
    team: Team,
    since: Annotated[
        datetime | None,
        typer.Option(callback=believed, help="Events from here on, local time. [default: 30 days before]"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(callback=believed, help="Events before this, local time. [default: now]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All findings as one JSON object.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Tell node by node what a journey would have done to recorded events. Nothing is sent, nothing changes."""
    from libs.cli.journey_simulations import simulate as simulate_events

    run(data_dir, simulate_events(team, subject, since, until, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey trigger Sale --audience VIP --team $TEAM --rate 50")
def trigger(
    name: Annotated[str, typer.Argument(help="Name or id of the journey.")],
    *,
    team: Team,
    audience: Annotated[str, typer.Option(help="Name or id of the saved audience.")] = "",
    customer: Annotated[
        list[str] | None, typer.Option(help="Id of a customer; may be repeated, instead of --audience.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="What messages show as {{trigger.KEY}}; may be repeated."),
    ] = None,
    rate: Annotated[
        int, typer.Option(min=1, max=2_000, help="At most so many customers a second.", show_default=True)
    ] = 100,
    detach: Annotated[bool, typer.Option("--detach", help="Write its id, and leave it to itself.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Enrol everyone in a saved audience, each once, or single customers. Exit code 1 if anybody was not triggered."""
    from libs.cli import audience_triggers, customer_triggers

    if bool(audience) == bool(customer):
        raise typer.BadParameter("give --audience or --customer, and not both")
    if customer:
        wanted = customer_triggers.data_of(data or ())
        run(data_dir, customer_triggers.trigger(team, name, customer, wanted, as_json=as_json))
    if data:
        raise typer.BadParameter("--data goes with --customer: those of an audience bring none")
    run(
        data_dir,
        audience_triggers.trigger(team, name, audience, rate=rate, follow=not detach, as_json=as_json),
    )


@journey.command(epilog="Example: omnijourney journey triggered $OPERATION --team $TEAM --follow")
def triggered(
    operation_id: Annotated[str, typer.Argument(help="Id that trigger wrote.")],
    *,
    team: Team,
    pause: Annotated[bool, typer.Option("--pause", help="Hold it first.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on first.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End it first.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Until it has ended.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show how far a trigger of an audience is, and what became of its customers."""
    from libs.cli import audience_triggers

    asked = {"pause": pause, "resume": resume, "cancel": cancel}
    if sum(asked.values()) > 1:
        raise typer.BadParameter("--pause, --resume and --cancel exclude one another")
    changes = {
        "pause": audience_triggers.pause,
        "resume": audience_triggers.resume,
        "cancel": audience_triggers.cancel,
    }
    change = next((changes[verb] for verb, wanted in asked.items() if wanted), None)
    run(data_dir, audience_triggers.triggered(team, operation_id, change, follow=follow, as_json=as_json))


@journey.command(epilog="Example: omnijourney journey schema --team $TEAM")
def schema(*, team: Team, data_dir: DataDir = None) -> None:
    """Write the JSON Schema of texts to stdout, for editors."""
    from libs.cli import journeys

    run(data_dir, journeys.schema(team))
