"""The `omnijourney` command: what there is. What a command does is loaded when it is called."""

from __future__ import annotations

from typing import Final

import typer

from libs.cli.lazy import Listed, lazy_group

COMMANDS: Final = {
    "up": Listed(
        "installation_commands",
        "installation",
        "Start the five services, with their own PostgreSQL and Valkey unless addresses are set, until Ctrl-C.",
    ),
    "quickstart": Listed(
        "installation_commands",
        "installation",
        "Make a team, a LINE account, content, a customer and a journey, send the first message, and show it.",
    ),
    "status": Listed(
        "installation_commands",
        "installation",
        "Show which services serve, what each has still to do, and the clock.",
    ),
    "doctor": Listed(
        "installation_commands",
        "installation",
        "Look at all that an installation stands on, and say what to do.",
    ),
    "migrate": Listed(
        "installation_commands",
        "installation",
        "Make schemas and roles with the owner's OMNIJOURNEY_POSTGRES_DSN, and each service's credentials file.",
    ),
    "console": Listed(
        "installation_commands",
        "installation",
        "Serve the console for browsers, until Ctrl-C, for an installation that runs already.",
    ),
    "demo": Listed(
        "installation_commands",
        "installation",
        "Replay a real month of a shop through all services and show what came of it.",
    ),
    "team": Listed("team_commands", "team", "Teams: the tenants, which own all else."),
    "customer": Listed("customer_commands", "customer", "Customers, and all that is held of a person."),
    "tag": Listed("tag_commands", "tag", "Tags of customers."),
    "attribute": Listed("attribute_commands", "attribute", "Custom attributes of customers."),
    "audience": Listed("audience_commands", "audience", "Saved audiences, and who is in them."),
    "import": Listed(
        "contact_commands",
        "contacts",
        "Import contacts from a file, and show how far it is until it has ended.",
    ),
    "journey": Listed(
        "journey_commands",
        "journey",
        "Journeys as texts: read, compared, applied, published.",
    ),
    "message": Listed("message_commands", "message", "Messages to single people."),
    "points": Listed("points_commands", "points", "The ledger of points."),
    "coupon": Listed("coupon_commands", "coupon", "Coupons, and who claimed them."),
    "webhook": Listed(
        "webhook_commands",
        "webhook",
        "Webhooks to teams' programs, and what could not be delivered.",
    ),
    "mailbox": Listed("mailbox_commands", "mailbox", "Mailboxes of customers, and who is parked."),
    "stats": Listed("stats_commands", "stats", "Figures of journeys and teams."),
    "emulator": Listed("emulator_commands", "emulator", "The emulators that stand in for the channels."),
    "token": Listed(
        "token_commands",
        "token",
        "Who may call: clients of the API and their tokens.",
    ),
    "backup": Listed(
        "backup_commands", "backup", "Backups of the embedded PostgreSQL, and restores to any moment."
    ),
    "secrets": Listed("secrets_commands", "secrets", "The keys that secrets at rest are encrypted with."),
    "audit": Listed("audit_commands", "audit", "Who changed what."),
    "seed-customers": Listed(
        "contact_commands",
        "contacts",
        "Make up customers, for trying and measuring: 5 tags and 10 attributes each.",
    ),
    "version": Listed("installation_commands", "installation", "Print the version."),
}

app = typer.Typer(
    name="omnijourney", cls=lazy_group(COMMANDS), no_args_is_help=True, pretty_exceptions_enable=False
)


@app.callback(epilog="Example: omnijourney quickstart")
def omnijourney() -> None:
    """Customer journeys and loyalty points across LINE, WhatsApp, Messenger and Instagram.

    Exit codes: 0 done; 1 refused, failed or found at fault; 2 wrong arguments or configuration; 3 partly done.
    """


def main() -> None:
    """Entry point of the `omnijourney` script."""
    app()


if __name__ == "__main__":
    main()
