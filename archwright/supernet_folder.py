"""A folder with a trained supernet: its weights, and what it is of.

``supernet.pt`` holds the weights, ``supernet.toml`` the family, the data and the recipe,
so that the commands need no more than the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from archwright.border import Table, complaint, read_toml
from archwright.brief import Task
from archwright.errors import DataError
from archwright.evaluators.supernet.plan import InputShape
from archwright.evaluators.supernet.recipe import Recipe
from archwright.evaluators.supernet.space import family_of, network_space
from archwright.space import Point, Space, Value

if TYPE_CHECKING:
    from archwright.evaluators.supernet import (
        Checkpoint,
        Data,
        ExportedNetwork,
        Supernet,
        TrainingProgress,
    )

WEIGHTS, DESCRIPTION = "supernet.pt", "supernet.toml"


class _Description(Table):
    """What ``supernet.toml`` says."""

    family: str = Field(max_length=64)
    data: str = Field(min_length=1, max_length=4096)
    data_digest: str = Field(max_length=64)
    split_seed: int = Field(ge=0)
    channels: int
    side: int
    classes: int
    recipe: dict[str, str | int | float | bool | list[float]]


class _NetworkFile(Table):
    """A network as TOML: its choices, and perhaps of which images and which family."""

    input: dict[str, int | str] | None = None
    network: dict[str, int | float | str]


@dataclass(frozen=True)
class SupernetFolder:
    """A trained supernet on disk. Building one reads its description, nothing else."""

    path: Path
    family: str
    data_name: str
    data_digest: str
    split_seed: int
    shape: InputShape
    recipe: Recipe

    @property
    def space(self) -> Space:
        """All networks of the family for these images."""
        return network_space(self.shape, self.family)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights' file, once it is seen to hold what was written."""
        from archwright.evaluators.supernet.checkpoints import Checkpoint, verified

        return Checkpoint(self.path / WEIGHTS, verified(self.path / WEIGHTS)["digest"])

    @cached_property
    def data(self) -> Data:
        """The data that it was trained on. Raises :class:`DataError` when they are others now."""
        from archwright.evaluators.supernet import load_data

        data = load_data(Task(data=self.data_name), self.split_seed)
        if data.digest != self.data_digest:
            raise DataError(
                f"{self.data_name}: not the data that {self.path} was trained on: digest "
                f"{data.digest}, then {self.data_digest}"
            )
        return data

    def load(self) -> Supernet:
        """The supernet itself."""
        from archwright.evaluators.supernet import load_supernet

        return load_supernet(self.checkpoint.path, self.space, self.shape)

    def read_network(self, file: Path) -> dict[str, Value]:
        """A network from a TOML file with a table [network]. Raises :class:`DataError`."""
        return read_network(file, self.space)


def open_folder(path: Path) -> SupernetFolder:
    """The supernet in a folder. Raises :class:`DataError`, one line."""
    file = path / DESCRIPTION
    if not file.is_file():
        raise DataError(f"{path}: no {DESCRIPTION} there; archwright supernet train makes one")
    try:
        said = _Description.model_validate(read_toml(file, "supernet", DataError))
    except ValidationError as error:
        raise DataError(f"{file}: {complaint(error)}") from None
    family_of(said.family)
    settings: dict[str, Any] = dict(said.recipe)
    if isinstance(settings.get("phases"), list):
        settings["phases"] = tuple(settings["phases"])
    try:
        recipe = Recipe(**settings)
    except TypeError as error:
        raise DataError(f"{file}: recipe: {error}") from None
    shape = InputShape(said.channels, said.side, said.classes)
    return SupernetFolder(
        path, said.family, said.data, said.data_digest, said.split_seed, shape, recipe
    )


def train_folder(
    path: Path,
    data_name: str,
    family: str,
    recipe: Recipe,
    progress: Callable[[TrainingProgress], None],
) -> SupernetFolder:
    """Train a supernet into a folder, or go on there. Raises :class:`DataError`.

    A folder that holds another supernet is left as it is.
    """
    import tomli_w

    from archwright.evaluators.supernet import load_data
    from archwright.evaluators.supernet.train import resolved, train_supernet

    family_of(family)
    recipe = resolved(recipe)
    data = load_data(Task(data=data_name), recipe.seed)
    folder = SupernetFolder(path, family, data_name, data.digest, recipe.seed, data.shape, recipe)
    if (path / DESCRIPTION).exists():
        before = open_folder(path)
        if (before.family, before.data_digest, before.recipe.digest) != (
            family,
            data.digest,
            recipe.digest,
        ):
            raise DataError(f"{path}: holds another supernet; choose an empty folder")
        if (path / WEIGHTS).exists():
            return before
    try:
        path.mkdir(parents=True, exist_ok=True)
        description = {
            "family": family,
            "data": data_name,
            "data_digest": data.digest,
            "split_seed": recipe.seed,
            **asdict(data.shape),
            "recipe": asdict(recipe),
        }
        (path / DESCRIPTION).write_text(tomli_w.dumps(description), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    train_supernet(recipe, folder.space, data, path, progress)
    return folder


def read_network(file: Path, space: Space) -> dict[str, Value]:
    """A network from a TOML file with a table [network]; it must lie in ``space``."""
    try:
        network: Point = _NetworkFile.model_validate(read_toml(file, "network", DataError)).network
    except ValidationError as error:
        raise DataError(f"{file}: {complaint(error)}") from None
    space.check(network)
    return dict(network)


def export_from_folder(folder: SupernetFolder, network: Path, out: Path) -> ExportedNetwork:
    """Write a network's files, as it is measured; compared on the test split."""
    import torch

    from archwright.evaluators.supernet import export_network, prepare

    data, point = folder.data, folder.read_network(network)
    calibration = torch.from_numpy(data.take(data.calibration())[0])
    module = prepare(folder.load(), point, calibration)
    test = data.splits.test
    return export_network(module, data.images[test], data.labels[test], out)
