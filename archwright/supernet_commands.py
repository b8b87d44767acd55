"""``archwright supernet``: train, evaluate, rank, export, info. Import is light, work is not."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.errors import DataError, printable

if TYPE_CHECKING:
    from archwright.evaluators.supernet import TrainingProgress
    from archwright.supernet_folder import SupernetFolder

supernet_app = typer.Typer(
    help="Train supernets; measure, rank, export networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
FolderArgument = Annotated[Path, typer.Argument(help="a folder that supernet train made")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="print one JSON object as the last line of standard output")
]
UnquantisedOption = Annotated[bool, typer.Option("--unquantised", help="not at the networks' bits")]
WorkersOption = Annotated[int, typer.Option(min=0, max=64, help="processes; 0: this one")]
LINE_SECONDS = 5.0
"""Where standard error is no terminal, progress is a line at most this often."""


@supernet_app.command()
def train(
    data: Annotated[
        str, typer.Option(help="digits, an .npz file, a folder of images or IDX, openml:NAME")
    ] = "digits",
    space: Annotated[str, typer.Option(help="mbconv, universal, small or mobile")] = "mbconv",
    recipe: Annotated[str, typer.Option(help="sandwich, alpha or progressive")] = "sandwich",
    sampler: Annotated[str, typer.Option(help="uniform, complexity or attentive")] = "uniform",
    epochs: Annotated[int, typer.Option(min=1)] = 30,
    batch_size: Annotated[int, typer.Option(min=2)] = 32,
    learning_rate: Annotated[float, typer.Option(min=0)] = 2e-2,
    random_networks: Annotated[int, typer.Option(min=0, help="in every step")] = 2,
    ends_every: Annotated[
        int, typer.Option(min=1, help="the extremes train in every so manyth step")
    ] = 1,
    shift: Annotated[float, typer.Option(help="of training images, share of the side")] = 0.125,
    flip: Annotated[bool, typer.Option("--flip", help="mirror training images")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=1, help="networks computed at once")] = 1,
    out: Annotated[Path, typer.Option(help="the folder to write")] = Path("supernet"),
    as_json: JsonOption = False,
) -> None:
    """Train a supernet into a folder; run again, it goes on where it was stopped."""
    from archwright.evaluators.supernet.recipe import Recipe
    from archwright.supernet_folder import train_folder

    chosen = Recipe(
        epochs=epochs, seed=seed, batch_size=batch_size, learning_rate=learning_rate,
        method=recipe, sampler=sampler,  # type: ignore[arg-type]
        random_networks=random_networks, ends_every=ends_every,
        shift=shift, flip=flip, workers=workers,
    )  # fmt: skip
    line = Line()

    def report(at: TrainingProgress) -> None:
        last = at.epoch == at.epochs
        line.show(
            f"epoch {at.epoch} of {at.epochs}, loss {at.loss:.4f}", at.seconds_left, last=last
        )

    folder = train_folder(out, data, space, chosen, report)
    line.end()
    _print(_described(folder), as_json, [("trained", str(out))])


@supernet_app.command()
def evaluate(
    folder: FolderArgument,
    network: Annotated[
        list[Path] | None, typer.Option(help="a network as TOML; may be given several times")
    ] = None,
    random: Annotated[int, typer.Option(min=0, help="networks drawn uniformly, beside them")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="of the draw")] = 0,
    split: Annotated[str, typer.Option(help="validation or test")] = "validation",
    at_least: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="stop early where this accuracy is out of reach"),
    ] = None,
    unquantised: UnquantisedOption = False,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Measure networks with the supernet's weights, batch norm recalibrated."""
    import numpy as np

    from archwright.evaluators.supernet import SupernetEvaluator
    from archwright.evaluators.supernet.plan import count
    from archwright.evaluators.supernet.score import Score
    from archwright.evaluators.supernet.space import plan_of
    from archwright.space import point_hash
    from archwright.supernet_folder import open_folder

    if split not in ("validation", "test"):
        raise DataError(f"--split = {printable(split)!r}: allowed validation, test")
    opened = open_folder(folder)
    networks = [opened.read_network(file) for file in network or []]
    drawn = opened.space.sample(np.random.default_rng(seed), random)
    networks += opened.space.decode(drawn)
    if not networks:
        raise DataError("no network to evaluate: give --network FILE or --random N")
    line, rows = Line(), {}
    with SupernetEvaluator(
        opened.checkpoint, opened.space, opened.data, split,  # type: ignore[arg-type]
        workers=workers, at_least=at_least, at_bits=not unquantised,
    ) as evaluator:  # fmt: skip
        for index, score in evaluator.score_each(networks):
            point = networks[index]
            parameters, macs = count(plan_of(point, opened.shape, opened.family))
            row: dict[str, Any] = {
                "network": point_hash(point), "choices": dict(point),
                "parameters": parameters, "macs": macs,
            }  # fmt: skip
            if isinstance(score, Score):
                low, high = score.interval
                row |= {
                    "accuracy": score.accuracy, "standard_error": score.standard_error,
                    "low": low, "high": high, "cross_entropy": score.cross_entropy,
                    "images": score.images,
                }  # fmt: skip
            else:
                row["failure"] = score.reason
            rows[index] = row
            line.share(len(rows), len(networks), "networks")
    line.end()
    ordered = [rows[index] for index in sorted(rows)]
    if as_json:
        typer.echo(json.dumps({"split": split, "networks": ordered}))
        return
    _table(
        ("network", "bits", "parameters", "MACs", "accuracy", "±", "loss", "images"),
        [
            (
                row["network"][:8], row["choices"]["bits"], f"{row['parameters']:,}",
                f"{row['macs']:,}", *_score_cells(row),
            )
            for row in ordered
        ],
    )  # fmt: skip
    for row in ordered:
        if "failure" in row:
            typer.echo(f"{row['network'][:8]}: {printable(row['failure'])}", err=True)


@supernet_app.command()
def rank(
    folder: FolderArgument,
    networks: Annotated[int, typer.Option(min=3, max=512, help="drawn uniformly")] = 16,
    seeds: Annotated[int, typer.Option(min=2, max=16, help="trainings of each")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="of each training")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="of the draw")] = 0,
    unquantised: UnquantisedOption = False,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Train a sample of networks alone; say how each cheap fidelity orders them.

    Finished trainings are kept in the folder's truths.csv: run again, it goes on.
    """
    from dataclasses import asdict, replace

    import numpy as np

    from archwright.evaluators.supernet.rank import fidelities, truth_table
    from archwright.evaluators.supernet.rank import rank as ranking_of
    from archwright.evaluators.supernet.standalone import StandaloneTraining, train_truths
    from archwright.supernet_folder import open_folder

    opened = open_folder(folder)
    points = opened.space.decode(opened.space.sample(np.random.default_rng(seed), networks))
    recipe = replace(opened.recipe, epochs=epochs, device="cpu")
    training = StandaloneTraining(opened.data, opened.family, recipe, folder / "unfinished")
    line = Line()
    truths = train_truths(
        points, range(seeds), training, folder / "truths.csv", workers,
        lambda done, total: line.share(done, total, "trainings"),
    )  # fmt: skip
    at_bits = not unquantised
    values = fidelities(
        opened.checkpoint, opened.space, opened.data, points,
        at_bits=at_bits, workers=workers, seed=seed, tell=line.show,
    )  # fmt: skip
    line.end()
    ranking = ranking_of(truth_table(truths, points, range(seeds), at_bits=at_bits), values)
    if as_json:
        typer.echo(json.dumps(asdict(ranking)))
        return
    typer.echo(
        f"{networks} networks trained alone from {seeds} seeds for {epochs} epochs. Kendall's tau\n"
        f"between the truths of two seeds, the ceiling: {ranking.ceiling:.3f}"
    )
    _table(
        ("fidelity", "Kendall", "95% interval", "of ceiling", "Spearman"),
        [
            (
                one.fidelity, f"{one.agreement.kendall:.3f}",
                f"{one.agreement.kendall_low:.2f} to {one.agreement.kendall_high:.2f}",
                f"{one.of_ceiling:.2f}", f"{one.agreement.spearman:.3f}",
            )
            for one in ranking.ranked
        ],
    )  # fmt: skip


@supernet_app.command()
def export(
    network: Annotated[Path, typer.Option(help="a network, or an architecture, as TOML")],
    folder: Annotated[Path | None, typer.Argument(help="a folder that supernet train made")] = None,
    released: Annotated[
        str | None, typer.Option(help="instead: ofa:FILE or attentive:FILE, as released")
    ] = None,
    resolution: Annotated[int, typer.Option(min=32, max=512, help="of a released one")] = 224,
    out: Annotated[Path, typer.Option(help="the folder to write")] = Path("network"),
    as_json: JsonOption = False,
) -> None:
    """Write one network as ONNX and safetensors, compared in onnxruntime."""
    from dataclasses import asdict

    if (folder is None) == (released is None):
        raise DataError("supernet export: give a supernet's folder or --released, one of them")
    line = Line()
    line.show("exporting")
    if released is not None:
        from archwright.evaluators.supernet.released.export import export_released

        exported = export_released(released, network, resolution, out)
    else:
        from archwright.supernet_folder import export_from_folder, open_folder

        exported = export_from_folder(open_folder(Path(str(folder))), network, out)
    line.end()
    parity = exported.parity
    numbers = {
        "onnx": str(exported.onnx), "weights": str(exported.weights), **asdict(parity),
    }  # fmt: skip
    lines = [
        ("ONNX", str(exported.onnx)),
        ("weights", str(exported.weights)),
        ("in onnxruntime", f"logits at most {parity.largest_difference:.2g} apart, of"),
        ("", f"{parity.largest_logit:.3g}; the same class for {parity.agreement:.2%}"),
    ]
    _print(numbers, as_json, lines)


@supernet_app.command()
def info(
    folder: Annotated[Path | None, typer.Argument(help="a folder that supernet train made")] = None,
    space: Annotated[
        str | None, typer.Option(help="instead: mbconv, universal, small or mobile")
    ] = None,
    side: Annotated[int, typer.Option(help="of its images, in pixels")] = 28,
    channels: Annotated[int, typer.Option(help="of its images: 1 or 3")] = 1,
    classes: Annotated[int, typer.Option(help="of its images")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Say what a supernet holds, or how large a space is."""
    from archwright.evaluators.supernet.plan import InputShape
    from archwright.supernet_folder import open_folder

    if (folder is None) == (space is None):
        raise DataError("supernet info: give a supernet's folder or --space, one of them")
    if folder is not None:
        opened = open_folder(folder)
        _print(_described(opened) | {"weights": opened.checkpoint.digest}, as_json)
    else:
        _print(_sizes(str(space), InputShape(channels, side, classes)), as_json)


def _sizes(family: str, shape: Any) -> dict[str, Any]:
    from archwright.evaluators.supernet.plan import count
    from archwright.evaluators.supernet.space import (
        family_of,
        largest_network,
        network_space,
        plan_of,
        smallest_network,
    )

    family_of(family)
    space = network_space(shape, family)
    ends = {"smallest": smallest_network(space), "largest": largest_network(space)}
    counts = {name: count(plan_of(point, shape, family)) for name, point in ends.items()}
    return {
        "family": family,
        "images": f"{shape.channels} x {shape.side} x {shape.side}, {shape.classes} classes",
        "networks": space.size,
        "choices": len(space.choices),
        **{f"{name} parameters": parameters for name, (parameters, _) in counts.items()},
        **{f"{name} MACs": macs for name, (_, macs) in counts.items()},
    }


def _described(folder: SupernetFolder) -> dict[str, Any]:
    recipe = folder.recipe
    return _sizes(folder.family, folder.shape) | {
        "data": f"{folder.data_name} (digest {folder.data_digest})",
        "recipe": f"{recipe.method}, sampler {recipe.sampler} (digest {recipe.digest})",
        "epochs": recipe.epochs,
        "finished": (folder.path / "supernet.pt").is_file(),
    }


def _score_cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "failure" in row:
        return ("failed", "", "", "")
    return (
        f"{row['accuracy']:.4f}", f"{row['standard_error']:.4f}",
        f"{row['cross_entropy']:.4f}", f"{row['images']}",
    )  # fmt: skip


def _print(
    numbers: dict[str, Any], as_json: bool, lines: Sequence[tuple[str, str]] | None = None
) -> None:
    if as_json:
        typer.echo(json.dumps(numbers))
        return
    for name, value in lines if lines is not None else numbers.items():
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
        typer.echo(f"{name:<20} {printable(str(shown))}".rstrip())


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, padding=0, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 80).print(table)


class Line:
    """Progress on standard error: a line rewritten; without a terminal, now and then a line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._shown_at = float("-inf")
        self._live = sys.stderr.isatty()

    def show(self, text: str, seconds_left: float | None = None, *, last: bool = False) -> None:
        """Say where the work stands; ``last`` is always said."""
        from archwright.progress import clock

        now = self._clock()
        if not (self._live or last) and now - self._shown_at < LINE_SECONDS:
            return
        self._shown_at = now
        left = f", {clock(seconds_left)} left" if seconds_left else ""
        words = f"{printable(text)}{left}"[:79]
        sys.stderr.write(f"\r\x1b[K{words}" if self._live else f"{words}\n")
        sys.stderr.flush()

    def share(self, done: int, total: int, what: str) -> None:
        """So many of so many; the time left is in proportion."""
        spent = self._clock() - self._began
        left = spent / done * (total - done) if done else None
        self.show(f"{done} of {total} {what}", left, last=done == total)

    def end(self) -> None:
        """Leave the terminal's line empty."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
