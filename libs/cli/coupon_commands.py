"""`omnijourney coupon`: one function per subcommand."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.options import AsJson, DataDir, Limit, Team, run

coupon = typer.Typer(name="coupon", help="Coupons, and who claimed them.", no_args_is_help=True)


@coupon.command("list", epilog="Example: omnijourney coupon list --team $TEAM")
def list_coupons(
    *, team: Team, limit: Limit = 100, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """List coupons: how often claimed, and for how many points."""
    from libs.cli import records

    run(data_dir, records.coupons(team, limit, as_json=as_json))


@coupon.command(epilog="Example: omnijourney coupon claims --coupon $COUPON --team $TEAM")
def claims(
    *,
    team: Team,
    coupon_id: Annotated[str, typer.Option("--coupon", help="Only this coupon (UUID). [default: all]")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List who claimed coupons, and what became of the claims."""
    from libs.cli import records

    run(data_dir, records.claims(team, coupon_id, limit, as_json=as_json))
