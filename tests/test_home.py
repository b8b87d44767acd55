from __future__ import annotations

from pathlib import Path

import pytest

from archwright.errors import SettingsError
from archwright.home import home, memory_folder, registry_file, supernet_cache


def test_the_variable_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHWRIGHT_HOME", str(tmp_path / "new" / "home"))
    assert home() == tmp_path / "new" / "home"
    assert home().is_dir()
    assert registry_file().parent == home()
    assert supernet_cache() == home() / "supernets"
    assert supernet_cache().is_dir()
    assert memory_folder() == home() / "memory"
    assert memory_folder().is_dir()


def test_a_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHWRIGHT_HOME", "here")
    assert home() == tmp_path / "here"


def test_without_the_variable_it_is_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARCHWRIGHT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home().name == "archwright"
    assert tmp_path in home().parents


def test_a_file_in_its_place_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("ARCHWRIGHT_HOME", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match=r"ARCHWRIGHT_HOME.*must be a folder") as error:
        home()
    assert "\n" not in str(error.value)
