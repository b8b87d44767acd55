"""The command line. Every command imports what it needs when it runs: help stays quick."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from archwright import __version__
from archwright.bench_commands import bench_app
from archwright.errors import ArchwrightError, UserError, printable
from archwright.supernet_commands import supernet_app

app = typer.Typer(
    name="archwright",
    help="Design a neural network and the accelerator it runs on, together.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(supernet_app, name="supernet")
app.add_typer(bench_app, name="bench")

RunArgument = Annotated[str, typer.Argument(help="a run's id, or the beginning of it")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="print one JSON object as the last line of standard output")
]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="processes that evaluate")]

INTERRUPTED = 130
"""The exit status after Ctrl-C: what typer makes of a KeyboardInterrupt."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"archwright {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="print the version"),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def search(
    brief: Annotated[Path, typer.Argument(help="a brief, as a TOML file")],
    run_dir: Annotated[
        Path | None, typer.Option(help="the run's folder [default: in the home's runs folder]")
    ] = None,
    as_json: JsonOption = False,
    no_random: Annotated[
        bool, typer.Option("--no-random", help="leave out random search beside the search")
    ] = False,
    workers: WorkersOption = 2,
    hours: Annotated[
        float | None, typer.Option(min=0.001, max=1000, help="instead of the brief's budget")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="search in the background; print the run's id")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(help="write down what models are asked and answer")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="answer for the models from such a transcript")
    ] = None,
    run_id: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Search for the front of designs that a brief asks for."""
    from archwright.brief import load_brief
    from archwright.settings import load_settings

    wanted, settings = load_brief(brief), load_settings()  # before what takes long to import
    if hours is not None:
        budget = wanted.budget.model_copy(update={"hours": hours})
        wanted = wanted.model_copy(update={"budget": budget})
    if detach:
        from archwright.agents.model.transports import Transports
        from archwright.overnight import detached

        transports = Transports(settings, wanted.models.values(), record, replay)
        detached(wanted, transports, run_dir, as_json)
        return

    from archwright.progress import progress_for_terminal
    from archwright.run import Options, start_run

    options = Options(not no_random, workers, run_id, record, replay)
    finished = start_run(wanted, settings, progress_for_terminal(), run_dir, options)
    _show(finished, as_json)


@app.command()
def resume(run: RunArgument, as_json: JsonOption = False, workers: WorkersOption = 2) -> None:
    """Go on with a run that was stopped or killed."""
    from archwright.progress import progress_for_terminal
    from archwright.run import Options, resume_run
    from archwright.settings import load_settings

    finished = resume_run(run, load_settings(), progress_for_terminal(), Options(workers=workers))
    _show(finished, as_json)


@app.command()
def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """Write a finished run's report again, from its archive."""
    from archwright.progress import progress_for_terminal
    from archwright.run import Options, rebuild_report
    from archwright.settings import load_settings

    finished = rebuild_report(run, load_settings(), progress_for_terminal(), Options())
    _show(finished, as_json)


def _show(finished: Any, as_json: bool) -> None:
    from rich.console import Console

    from archwright.summary import print_summary, result_table

    if as_json:
        typer.echo(json.dumps(result_table(finished.result, finished.folder)))
    else:
        print_summary(finished.result, finished.folder, Console())


@app.command()
def runs(as_json: JsonOption = False) -> None:
    """List the runs of this home, oldest first."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from archwright.home import registry_file
    from archwright.memory.registry import Registry

    with Registry(registry_file()) as registry:
        entries = registry.list()
    if as_json:
        rows = [
            {"run": e.run, "status": e.status.value, "created": e.created, "folder": str(e.folder)}
            for e in entries
        ]
        typer.echo(json.dumps({"runs": rows}))
        return
    table = Table("run", "status", "created (UTC)", box=box.SIMPLE, pad_edge=False)
    table.columns[0].overflow = "fold"
    for entry in entries:
        table.add_row(entry.run, entry.status.value, entry.created[:19].replace("T", " "))
    Console().print(table if entries else "no runs yet: archwright search examples/digits.toml")


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(help="a run's id; without it, every run")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how runs stand: phase, hypervolume, time left."""
    from archwright.overnight import show_status

    show_status(run, as_json)


@app.command()
def logs(
    run: RunArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="until the run ends")] = False,
) -> None:
    """Print what a run recorded, one line an event."""
    from archwright.overnight import print_log

    print_log(run, follow=follow)


@app.command()
def stop(run: RunArgument, as_json: JsonOption = False) -> None:
    """Stop a run: it ends soon, with a report."""
    from archwright.overnight import stop_run

    stop_run(run, as_json)


@app.command()
def chat(
    session: Annotated[
        str | None, typer.Option(help="go on with this session; its id or the beginning of it")
    ] = None,
) -> None:
    """Design in a conversation, by words or by commands."""
    from archwright.session.terminal import chat as talk

    talk(session)


@app.command()
def sessions(as_json: JsonOption = False) -> None:
    """List the design sessions of this home, oldest first."""
    from archwright.session.terminal import print_sessions

    print_sessions(as_json)


@app.command()
def mcp() -> None:
    """Serve the tools to other assistants (MCP over stdio)."""
    from archwright.mcp_server import serve

    serve()


@app.command()
def tool(
    name: Annotated[str | None, typer.Argument(help="a tool; without it, all are listed")] = None,
    arguments: Annotated[str, typer.Argument(help="its arguments as a JSON object")] = "{}",
) -> None:
    """Call a tool as agents and assistants do; prints JSON."""
    from archwright.overnight import call_tool

    call_tool(name, arguments)


NetworkFileArgument = Annotated[
    Path, typer.Argument(help="a network as TOML, such as best/network.toml, or any ONNX file")
]
HardwareOption = Annotated[
    Path, typer.Option(help="a hardware as TOML, such as best/hardware.toml")
]
BitsOption = Annotated[
    int, typer.Option(help="bits of an ONNX network's weights and activations: 4, 8 or 16")
]


@app.command()
def simulate(
    network: NetworkFileArgument,
    hardware: Annotated[
        Path | None, typer.Option(help="a hardware as TOML, such as best/hardware.toml")
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(help="instead of a hardware: a100, h100 ... or a platform as TOML"),
    ] = None,
    fidelity: Annotated[
        str, typer.Option(help="who judges: analytical, scalesim, zigzag or measured")
    ] = "analytical",
    bits: BitsOption = 8,
    as_json: JsonOption = False,
) -> None:
    """Cost a network on a hardware or a platform, by layer."""
    from archwright.simulation import run_simulation

    run_simulation(network, hardware, platform, fidelity, bits, as_json)


@app.command()
def compare_fidelities(
    network: NetworkFileArgument,
    hardware: HardwareOption,
    bits: BitsOption = 8,
    as_json: JsonOption = False,
) -> None:
    """Cost a network on a hardware by every fidelity."""
    from archwright.comparison import run_comparison

    run_comparison(network, hardware, bits, as_json)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check packages, folders, settings and model endpoints."""
    from rich.console import Console

    from archwright.checkup import check_up, print_checkup

    findings = check_up()
    if as_json:
        typer.echo(json.dumps({"findings": [vars(finding) for finding in findings]}))
    else:
        print_checkup(findings, Console())
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line. A user's mistake is one line on standard error, exit status 2.

    Where the reader of our output has gone, typer and rich end quietly with status 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a narrow encoding must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(standalone_mode=False)
    except UserError as mistake:
        _fail(str(mistake), 2)
    except ArchwrightError as failure:
        _fail(str(failure), 1)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:  # typer has no public root for its complaints
        if not _is_usage_error(error):
            raise
        _fail(f"{_usage(error)}; see archwright --help", 2)
    if status == INTERRUPTED:
        _fail("stopped; `archwright runs` lists runs, `archwright resume RUN` goes on", status)
    sys.exit(status or 0)


def _is_usage_error(error: Exception) -> bool:
    """Whether the command line itself was wrong: typer's (or click's) own complaint."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage(error: Any) -> str:
    """Typer's complaint in one line."""
    return " ".join(printable(error.format_message().replace("\n", " ")).split()).rstrip(".")


def _fail(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"archwright: {message}\n")
    sys.exit(status)
