"""``archwright bench search``: optimisers compared on a table. Import is light, work is not."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.errors import UserError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archwright.brief import Budget
    from archwright.tabular.advised import Account, Adviser
    from archwright.tabular.bench import Arena, Standing

bench_app = typer.Typer(
    help="Compare optimisers with each other.", no_args_is_help=True, rich_markup_mode=None
)
DEFAULTS = {"nas201": "surrogate,random+costing,random", "generic": "surrogate,random"}
"""The strategies of each problem where none are named."""
WITH_A_MODEL = "surrogate,hybrid"
SHARES = (0.25, 0.5, 1.0)
"""Where in a search the printed table looks."""


@bench_app.callback()
def _bench() -> None:
    """Keeps ``search`` a command of its own while it is the only one."""


@bench_app.command("search")
def bench_search(
    table: Annotated[Path, typer.Option(help="a CSV file, gzip-packed or not")],
    problem: Annotated[
        str, typer.Option(help="nas201 (with accelerators) or generic (any choices and metrics)")
    ] = "nas201",
    accuracy: Annotated[
        str | None, typer.Option(help="nas201: the column that an evaluation looks up")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(help="nas201: score the last fronts on this column, too; no strategy sees it"),
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="generic: the columns to choose, as a,b,c")
    ] = None,
    minimize: Annotated[
        str | None, typer.Option(help="generic: metrics of which less is better, as m1,m2")
    ] = None,
    maximize: Annotated[
        str | None, typer.Option(help="generic: metrics of which more is better")
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            help="names with commas between. nas201: plain NAME sees one design an evaluation, "
            "NAME+costing pairs each network with all accelerators; surrogate, spread and hybrid "
            "always do, so for them both are the same. nsga2:10: a population of 10. "
            "[default: surrogate, random; nas201: random+costing, too]"
        ),
    ] = None,
    evaluations: Annotated[int, typer.Option(min=1, max=1_000_000, help="in each search")] = 100,
    seeds: Annotated[
        int, typer.Option(min=1, max=10_000, help="searches a strategy: 0, 1 ...")
    ] = 5,
    batch: Annotated[
        int, typer.Option(min=1, max=10_000, help="evaluations a step, for every strategy")
    ] = 5,
    failures: Annotated[
        float, typer.Option(min=0, max=0.99, help="the share of evaluations that fail, seeded")
    ] = 0.0,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="leave out rows with a blank or NaN in them")
    ] = False,
    duplicates: Annotated[
        str, typer.Option(help="generic: rows of the same choices: refuse, or mean")
    ] = "refuse",
    plot: Annotated[
        Path | None, typer.Option(help="write the curves as .html or .svg; opens offline")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="the model profile of your settings behind every hybrid [default strategies "
            "then: surrogate,hybrid]"
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=0, max=10**9, help="what a search may spend on its model")
    ] = 200_000,
    committee: Annotated[
        int, typer.Option(min=1, max=5, help="how often the model is asked for each batch")
    ] = 1,
    record: Annotated[
        Path | None, typer.Option(help="write what the model is asked and answers; one search only")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="answer from such a file, from its beginning in each search")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="searches at once")] = 1,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="print one JSON object as the last line of standard output"),
    ] = False,
) -> None:
    """Search a table by several strategies; score each against the table's true front."""
    from archwright.brief import Budget
    from archwright.supernet_commands import Line
    from archwright.tabular.bench import Terms, compare
    from archwright.tabular.entrants import parse_entrants
    from archwright.tabular.plot import check_plot_path, write_plot

    if problem not in DEFAULTS:
        raise UserError(f"--problem = {shown(problem)}: allowed {', '.join(DEFAULTS)}")
    asks = model is not None or replay is not None
    wanted = strategies or (WITH_A_MODEL if asks else DEFAULTS[problem])
    budget = Budget(evaluations=evaluations, tokens=tokens)
    adviser = _adviser(model, budget, committee, record, replay, single=seeds == workers == 1)
    entrants = parse_entrants(wanted, problem == "nas201", adviser)
    if adviser is not None and not any(entrant.adviser for entrant in entrants):
        raise UserError(f"--strategies = {shown(wanted)}: a model advises hybrid only: add it")
    if plot is not None:
        check_plot_path(plot)
    make: Any
    if problem == "nas201":
        _only(problem, choices=choices, minimize=minimize, maximize=maximize)
        if duplicates != "refuse":
            _only(problem, duplicates=duplicates)
        if accuracy is None:
            raise UserError("--accuracy COLUMN is needed with --problem nas201")
        make = partial(nas201_arena, table, accuracy, report, skip_missing)
    else:
        _only(problem, accuracy=accuracy, report=report)
        columns = (_names(choices), _names(minimize), _names(maximize))
        make = partial(generic_arena, table, *columns, duplicates, skip_missing)

    Line().show(f"reading {table.name}, enumerating its true front", last=True)
    arena: Arena = make(notes=True)
    for tabular in filter(None, (arena.tabular, arena.reported)):
        tabular.true_hypervolume  # noqa: B018 - now, so that what is wrong is said before the searches
    line = Line()
    standings = compare(
        make, arena, entrants, seeds, Terms(evaluations, batch, failures), workers,
        lambda what, done, total: line.share(done, total, f"evaluations ({what})"),
    )  # fmt: skip
    line.end()
    if plot is not None:
        write_plot(plot, f"{arena.tabular.name}, {seeds} seeds", standings)
    if as_json:
        typer.echo(json.dumps(_as_plain(arena, standings, report)))
    else:
        _print_standings(arena, standings, report, seeds)


def _adviser(
    model: str | None,
    budget: Budget,
    committee: int,
    record: Path | None,
    replay: Path | None,
    single: bool,
) -> Adviser | None:
    """The model behind the hybrids. Everything that is wrong with it is found here."""
    from archwright.agents.model.transcript import read_transcript
    from archwright.settings import Settings, load_settings
    from archwright.tabular.advised import Adviser

    if record is not None and not single:
        raise UserError(f"--record {record}: allowed with --seeds 1 and --workers 1 only")
    if record is not None and model is None:
        raise UserError(f"--record {record}: needs --model, whose answers it records")
    if replay is not None and model is None:
        names = list(read_transcript(replay).models)
        if len(names) != 1:
            raise UserError(f"--replay {replay}: name one with --model: {', '.join(names)}")
        [model] = names
    if model is None:
        return None
    settings = Settings() if replay else load_settings()
    adviser = Adviser(settings, model, budget, record, replay, committee)
    adviser.check()
    return adviser


def nas201_arena(
    path: Path, accuracy: str, report: str | None, skip_missing: bool, notes: bool = False
) -> Arena:
    """NAS-Bench-201 in a table, and the same with the reported column."""
    from dataclasses import replace

    from archwright.tabular.bench import Arena
    from archwright.tabular.nas201 import nas201
    from archwright.tabular.table import read_table

    table = read_table(path)
    columns = [accuracy, *([report] if report else [])]
    if skip_missing:
        table = _skipped(table, columns, notes)
    table.check_complete(columns)
    tabular = nas201(table, accuracy)
    if report is None:
        return Arena(tabular)
    reported = nas201(table, report)
    # The costs are the same: what is remembered of networks serves both.
    costed = replace(reported.problem, costing=tabular.problem.costing)
    return Arena(tabular, replace(reported, problem=costed))


def generic_arena(
    path: Path,
    choices: tuple[str, ...],
    minimise: tuple[str, ...],
    maximise: tuple[str, ...],
    duplicates: str,
    skip_missing: bool,
    notes: bool = False,
) -> Arena:
    """Any table, by its columns of choices and of metrics."""
    from archwright.tabular.bench import Arena
    from archwright.tabular.generic import generic
    from archwright.tabular.table import read_table

    table = read_table(path)
    if skip_missing:
        table = _skipped(table, [*choices, *minimise, *maximise], notes)
    return Arena(generic(table, choices, minimise, maximise, duplicates))


def _skipped(table: Any, columns: list[str], notes: bool) -> Any:
    """The table without rows that miss a value; how many those are, on standard error."""
    kept = table.without_missing(columns)
    if notes:
        left_out = len(table) - len(kept)
        sys.stderr.write(f"left out {left_out} of {len(table)} rows: a value is missing\n")
    return kept


def _only(problem: str, **options: object) -> None:
    """Refuse options that belong to the other problem."""
    for name, value in options.items():
        if value is not None:
            raise UserError(f"--{name}: not an option of --problem {problem}")


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _as_plain(
    arena: Arena, standings: Mapping[str, Standing], report: str | None
) -> dict[str, Any]:
    """What ``--json`` prints."""
    plain: dict[str, Any] = {"true_hypervolume": arena.tabular.true_hypervolume, "strategies": {}}
    if arena.reported is not None:
        plain["report"] = {
            "column": report,
            "true_hypervolume": arena.reported.true_hypervolume,
        }
    for label, standing in standings.items():
        row: dict[str, Any] = {
            "evaluations": list(range(1, len(standing.median) + 1)),
            "ratio_median": standing.median.tolist(),
            "ratio_worst": standing.worst.tolist(),
            "seconds_per_design": standing.seconds_per_design,
        }
        if standing.accounts:
            row["model"] = [_account_as_plain(account) for account in standing.accounts]
        if arena.reported is not None:
            row["report_ratio_median"] = standing.reported_median
            row["report_ratio_worst"] = standing.reported_worst
        plain["strategies"][label] = row
    return plain


def _account_as_plain(account: Account) -> dict[str, Any]:
    """One search's use of a model."""
    return {
        "asks": len(account.asks),
        "failed": account.failed,
        "tokens": account.tokens,
        "dollars": account.dollars,
        "designs": account.taken,
        "refused": account.refused,
        "shares": [advice.share for advice in account.advice],
    }


def _print_standings(
    arena: Arena, standings: Mapping[str, Standing], report: str | None, seeds: int
) -> None:
    """Tables in 80 columns: median and worst after a quarter, a half and all evaluations."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    total = len(next(iter(standings.values())).median)
    places = [max(1, round(total * share)) for share in SHARES]
    shares = [f"after {place}" for place in places]
    table = Table("strategy", *shares, "s/design", box=box.SIMPLE, padding=0, pad_edge=False)
    reported = Table("strategy", f"on {report}", box=box.SIMPLE, padding=0, pad_edge=False)
    for column in (*table.columns, *reported.columns):
        column.overflow = "fold"
    for label, standing in standings.items():
        cells = [_cell(standing.median[p - 1], standing.worst[p - 1]) for p in places]
        table.add_row(Text(label), *cells, f"{standing.seconds_per_design:.2g}")
        if standing.reported_median is not None and standing.reported_worst is not None:
            cell = _cell(standing.reported_median, standing.reported_worst)
            reported.add_row(Text(label), cell)
    lines = [
        f"{arena.tabular.name}: true hypervolume {arena.tabular.true_hypervolume:.4f}",
        f"shares of it after so many evaluations: median (worst) of {seeds} seeds",
    ]
    console.print(table)
    console.print("\n".join(lines), markup=False, highlight=False)
    for label, standing in standings.items():
        if standing.accounts:
            for line in _model_lines(label, standing, total):
                console.print(line, markup=False, highlight=False)
    if arena.reported is not None:
        console.print(reported)
        truth = arena.reported.true_hypervolume
        line = f"the last fronts on {report}: shares of its true hypervolume {truth:.4f}"
        console.print(line, markup=False, highlight=False)


def _model_lines(label: str, standing: Standing, evaluations: int) -> list[str]:
    """What the model of a hybrid took and did, in 80 columns: medians over the searches."""
    from collections import Counter
    from statistics import median

    from archwright.report.text import clean

    accounts = standing.accounts
    tokens, taken, refused, asks, failed = (
        median(getattr(account, name) for account in accounts)
        for name in ("tokens", "taken", "refused", "asked", "failed")
    )
    dollars = [account.dollars for account in accounts]
    known = [d for d in dollars if d is not None]
    cost = f"${median(known):.4f}" if len(known) == len(dollars) else "cost unknown"
    reasons = Counter(reason for account in accounts for reason in account.faults)
    why = [
        f"{label}: why asks failed, mostly: {clean(reason, 40)}"
        for reason, _ in reasons.most_common(1)
    ]
    return [
        f"{label}: {asks:g} asks ({failed:g} failed), {tokens:,.0f} tokens, "
        f"{tokens / evaluations:,.1f} a design, {cost}",
        f"{label}: {taken:g} designs of the model's evaluated, {refused:g} refused; "
        f"its share at the end {median(account.share for account in accounts):.0%}",
        *why,
    ]


def _cell(median: float, worst: float) -> str:
    return f"{median:.3f} ({worst:.3f})"
