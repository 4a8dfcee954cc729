"""What a person sees at the end."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from libs.demo.checks import Check
from libs.demo.figures import Figures, Journey, Step
from libs.demo.stream import Stream


def show_stream(console: Console, stream: Stream) -> None:
    """What is replayed, and which lines and invoices are no part of it."""
    profile = stream.profile
    console.print(
        f"[bold]{profile.source}[/]: {stream.lines:,} lines, {len(stream.checkouts):,} checkouts, "
        f"{len(stream.members):,} customers, {profile.currency}",
        highlight=False,
    )
    for reason, count in stream.left_out.items():
        console.print(f"  left out, no order and no refund: {count:,}, {reason}", highlight=False)
    for reason, count in stream.bad_lines.items():
        console.print(f"  [yellow]bad lines[/]: {count:,}, {reason}", highlight=False)
    for example in stream.examples:
        console.print(f"    {example}", highlight=False, markup=False)


def show_figures(console: Console, figures: Figures) -> None:
    """All tables."""
    console.print()
    console.print(_journeys(figures.journeys.values()))
    for journey in figures.journeys.values():
        console.print(_tree(journey))
        console.print()
    console.print(_attributed(figures))
    console.print(_simulated(figures))
    console.print(_points(figures))
    console.print(_channels(figures))
    if figures.dashboards:
        console.print(_dashboards(figures))
    console.print(
        f"[bold]{figures.orders:,}[/] orders, [bold]{figures.refunds:,}[/] refunds and "
        f"[bold]{figures.anonymous:,}[/] anonymous checkouts of [bold]{figures.customers:,}[/] customers: "
        f"[bold]{figures.events_per_s:,.0f}[/] a second, [bold]{figures.wall_s:,.0f} s[/] in all",
        highlight=False,
    )


def show_checks(console: Console, checks: list[Check]) -> None:
    """One line when all is well; else every disagreement."""
    bad = [found for found in checks if not found.good]
    if not bad:
        console.print(
            f"[bold green]✓[/] {len(checks)} cross-checks: the services, the emulators' own logs and the "
            "source agree",
            highlight=False,
        )
        return
    console.print(f"[bold red]✗ {len(bad)} of {len(checks)} cross-checks disagree[/]", highlight=False)
    for found in bad:
        console.print(f"  {found.what}: {found.found} ≠ {found.wanted}", highlight=False, markup=False)


def _journeys(journeys: Iterable[Journey]) -> Table:
    table = Table(title="Journeys", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("name")
    table.add_column("status")
    for heading in ("triggered", "refused", "completed", "halted", "rate", "sent", "skipped", "cost"):
        table.add_column(heading, justify="right")
    for journey in journeys:
        colour = "green" if journey.status == "ACTIVE" else "yellow"
        reason = f" [dim]{journey.reason}[/]" if journey.reason else ""
        rate = f"{journey.completed / journey.triggered:.0%}" if journey.triggered else "–"
        table.add_row(
            f"[bold]{journey.name}[/]",
            f"[{colour}]{journey.status}[/]{reason}",
            f"{journey.triggered:,}",
            f"{journey.refused:,}",
            f"{journey.completed:,}",
            f"{journey.halted:,}",
            rate,
            f"{journey.messages.sent:,}",
            f"{journey.messages.skipped:,}",
            journey.cost,
        )
    return table


def _tree(journey: Journey) -> Tree:
    tree = Tree(f"[bold]{journey.name}[/] [dim]on {journey.channel}[/]", guide_style="dim")
    if journey.steps:
        steps = {step.node_id: step for step in journey.steps}
        _grow(tree, journey, steps, journey.steps[0].node_id)
    return tree


def _grow(tree: Tree, journey: Journey, steps: dict[str, Step], node_id: str) -> None:
    """Adds a node and what follows. A straight run stays on one level, each branch has one of its own."""
    step = steps[node_id]
    grown = tree.add(f"[cyan]{journey.nodes.get(node_id, 0):>6,}[/]  {node_id}  [dim]{step.what}[/]")
    for branch, following in step.leads_to:
        _grow(grown.add(f"[yellow]{branch}[/]") if branch else tree, journey, steps, following)


def _attributed(figures: Figures) -> Table:
    title = "What links led to"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("journey")
    for heading in ("sent", "clicked", "orders", "revenue", "recounted", "return on ad spend"):
        table.add_column(heading, justify="right")
    for journey in figures.journeys.values():
        found, recounted = journey.attributed, figures.recounted.get(journey.name)
        spent = journey.return_on_ad_spend
        table.add_row(
            f"[bold]{journey.name}[/]",
            f"{journey.messages.sent:,}",
            f"{found.clicked:,}",
            f"{found.orders:,}",
            f"{found.revenue:,.2f}",
            f"{recounted.orders:,} · {recounted.revenue:,.2f}" if recounted else "–",
            f"{spent:,.1f}" if spent is not None else "–",
        )
    return table


def _simulated(figures: Figures) -> Table:
    title = "The same events simulated"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("journey")
    table.add_column("node")
    for heading in ("counted", "simulated"):
        table.add_column(heading, justify="right")
    for name, simulated in figures.simulated.items():
        journey = figures.journeys[name]
        rows = {"[dim]triggered[/]": (journey.triggered, simulated.triggered)}
        rows["[dim]refused[/]"] = journey.refused, simulated.refused
        rows |= {node: (count, simulated.nodes.get(node, 0)) for node, count in journey.nodes.items()}
        rows["[dim]sent[/]"] = journey.messages.sent, simulated.sent
        for place, (what, (counted, found)) in enumerate(rows.items()):
            table.add_row("" if place else f"[bold]{name}[/]", what, f"{counted:,}", f"{found:,}")
    return table


def _points(figures: Figures) -> Table:
    table = Table(title="Points", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    points = figures.points
    cells = {
        "entries": points.entries,
        "earned": points.earned,
        "refunded": points.refunded,
        "shortfall": points.refund_shortfall,
        "journeys": points.journey,
        "balance": points.balance,
        "cumulative": points.cumulative,
    }
    for heading in cells:
        table.add_column(heading, justify="right")
    table.add_row(*(f"{value:,}" for value in cells.values()))
    return table


def _dashboards(figures: Figures) -> Table:
    title = "Queries of the dashboards in Prometheus"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("query")
    table.add_column("series", justify="right")
    for query, series in figures.dashboards.items():
        table.add_row(query, f"{series:,}")
    return table


def _channels(figures: Figures) -> Table:
    table = Table(title="Messages", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("channel")
    for heading in ("sent (stats)", "sent (gateway)", "received by the emulator"):
        table.add_column(heading, justify="right")
    for name, channel in figures.channels.items():
        table.add_row(
            name, f"{channel.sent:,}", f"{channel.gateway_sent:,}", f"{channel.received_by_emulator:,}"
        )
    return table
