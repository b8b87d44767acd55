"""The command line. Every command imports what it needs when it runs: help stays quick."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.errors import ArchwrightError, UserError

app = typer.Typer(
    name="archwright",
    help="Design a neural network and the accelerator it runs on, together.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunArgument = Annotated[str, typer.Argument(help="a run's id, or the beginning of it")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="print one JSON object as the last line of standard output")
]


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
    workers: Annotated[int, typer.Option(min=1, max=64, help="processes that evaluate")] = 2,
) -> None:
    """Search for the front of designs that a brief asks for."""
    from archwright.brief import load_brief
    from archwright.progress import progress_for_terminal
    from archwright.run import Options, start_run
    from archwright.settings import load_settings

    options = Options(with_baseline=not no_random, workers=workers)
    finished = start_run(
        load_brief(brief), load_settings(), progress_for_terminal(), run_dir, options
    )
    _show(finished, as_json)


@app.command()
def resume(run: RunArgument, as_json: JsonOption = False, workers: int = 2) -> None:
    """Go on with a run that was stopped or killed."""
    from archwright.progress import progress_for_terminal
    from archwright.run import Options, resume_run
    from archwright.settings import load_settings

    finished = resume_run(run, load_settings(), progress_for_terminal(), Options(workers=workers))
    _show(finished, as_json)


@app.command()
def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """Write the report of a finished run again, from its archive."""
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
        typer.echo(json.dumps(rows))
        return
    table = Table("run", "status", "created (UTC)")
    for entry in entries:
        table.add_row(entry.run, entry.status.value, entry.created[:19].replace("T", " "))
    Console().print(table if entries else "no runs yet: archwright search examples/digits.toml")


@app.command()
def simulate(
    network: Annotated[Path, typer.Argument(help="a network as TOML, such as best/network.toml")],
    hardware: Annotated[Path, typer.Option(help="a hardware as TOML, such as best/hardware.toml")],
    as_json: JsonOption = False,
) -> None:
    """Cost a network on a hardware, layer by layer, with the analytical model."""
    from rich.console import Console

    from archwright.evaluators.hardware import load_hardware
    from archwright.simulation import load_network, print_simulation
    from archwright.tools.simulate_hardware import simulate_hardware

    arguments = {**load_network(network), "hardware": load_hardware(hardware)}
    simulation = simulate_hardware.call(arguments)
    if as_json:
        typer.echo(simulation.model_dump_json())
    else:
        print_simulation(simulation, Console())


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, what an extra would add, and whether model endpoints answer."""
    from rich.console import Console

    from archwright.checkup import check_up, print_checkup

    findings = check_up()
    if as_json:
        typer.echo(json.dumps([vars(finding) for finding in findings]))
    else:
        print_checkup(findings, Console())
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line. A user's mistake is one line on standard error, exit status 2."""
    try:
        status = app(standalone_mode=False)
    except typer.Exit as done:
        status = done.exit_code
    except UserError as mistake:
        _fail(str(mistake), 2)
    except ArchwrightError as failure:
        _fail(str(failure), 1)
    except KeyboardInterrupt:
        _fail("stopped; `archwright runs` lists the run, `archwright resume RUN` goes on", 130)
    except (typer.Abort, EOFError):
        _fail("stopped", 130)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Exception as error:
        if not _is_usage_error(error):
            raise
        _fail(_usage(error), 2)
    sys.exit(status or 0)


def _is_usage_error(error: Exception) -> bool:
    """Whether the command line itself was wrong: typer's (or click's) own complaint."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage(error: Any) -> str:
    message: str = error.format_message()
    return message.splitlines()[0] if message else "see archwright --help"


def _fail(message: str, status: int) -> None:
    sys.stderr.write(f"archwright: {message}\n")
    sys.exit(status)
