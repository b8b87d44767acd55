"""The settings file: what is read, what is refused and in which words, and outside briefs."""

from pathlib import Path

import pytest

from archwright.brief import parse_brief
from archwright.errors import BriefError, SettingsError
from archwright.settings import (
    Settings,
    check_outside_brief,
    load_settings,
    parse_settings,
    settings_path,
)

GOOD = """
allowed_folders = ["~/datasets", "/data"]

[models.local]
base_url = "http://127.0.0.1:8080/v1"
model = "small"

[models.hosted]
base_url = "https://models.example/v1"
model = "large"
key_variable = "HOSTED_KEY"
timeout_s = 30
max_retries = 2
max_output_tokens = 1000
dollars_per_million_tokens_in = 0.5
dollars_per_million_tokens_out = 2.0
"""
SECRET = "sk-not-to-be-seen-0123456789"


def brief_with(data: str):
    return parse_brief(
        {
            "name": "outside",
            "task": {"data": data},
            "objectives": {"accuracy": "maximise"},
            "budget": {"evaluations": 4},
        }
    )


def test_good_file(settings_file: Path):
    settings_file.write_text(GOOD)
    settings = load_settings()
    assert settings.allowed_folders == ("~/datasets", "/data")
    local, hosted = settings.profile("local"), settings.profile("hosted")
    assert (local.timeout_s, local.max_retries, local.key_variable) == (60.0, 1, None)
    assert (hosted.timeout_s, hosted.max_retries, hosted.key_variable) == (30.0, 2, "HOSTED_KEY")


def test_no_file_means_defaults(settings_file: Path):
    assert not settings_file.exists()
    assert load_settings() == Settings()


def test_the_place_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ARCHWRIGHT_SETTINGS", str(tmp_path / "mine.toml"))
    assert settings_path() == tmp_path / "mine.toml"
    monkeypatch.delenv("ARCHWRIGHT_SETTINGS")
    assert settings_path().parts[-2:] == ("archwright", "settings.toml")


def profile_table(**fields: object) -> dict[str, object]:
    return {"models": {"m": {"base_url": "http://127.0.0.1:1/v1", "model": "x", **fields}}}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"colour": 1}, ["s.toml: colour", "unknown key", "models, allowed_folders"]),
        ({"models": {"m": {"model": "x"}}}, ["models.m.base_url", "missing"]),
        ({"models": {"a b": {}}}, ["models.a b", "pattern"]),
        (profile_table(colour="red"), ["models.m.colour", "unknown key", "key_variable"]),
        (profile_table(timeout_s=0), ["models.m.timeout_s = 0", "greater than 0"]),
        (profile_table(timeout_s=601), ["models.m.timeout_s = 601", "less than or equal to 600"]),
        (profile_table(timeout_s=float("nan")), ["models.m.timeout_s = nan", "finite"]),
        (profile_table(max_retries=6), ["models.m.max_retries = 6", "equal to 5"]),
        (profile_table(max_output_tokens=1), ["max_output_tokens = 1", "equal to 16"]),
        (profile_table(model=""), ["models.m.model = ''", "at least 1 character"]),
        (
            profile_table(dollars_per_million_tokens_in=-1),
            ["dollars_per_million_tokens_in = -1", "equal to 0"],
        ),
        (profile_table(base_url="ftp://127.0.0.1/v1"), ["base_url", "allowed http://"]),
        (profile_table(base_url="http://[::1/v1"), ["base_url", "allowed http://"]),
        (profile_table(base_url="http://a:b/v1"), ["base_url", "allowed http://"]),
        ({"allowed_folders": ["data"]}, ["allowed_folders", "'data'", "absolute"]),
        ({"allowed_folders": "data"}, ["allowed_folders = 'data'", "should be a list"]),
    ],
)
def test_a_bad_key_is_one_line(table: dict[str, object], said: list[str]):
    with pytest.raises(SettingsError) as caught:
        parse_settings(table, "s.toml")
    line = str(caught.value)
    assert "\n" not in line
    for words in said:
        assert words in line


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": SECRET},
        {"apikey": SECRET},
        {"key": SECRET},
        {"auth-token": SECRET},
        {"password": SECRET},
        {"key_variable": SECRET},
        {"base_url": f"http://user:{SECRET}@127.0.0.1/v1"},
        {"base_url": f"http://127.0.0.1/v1?key={SECRET}"},
    ],
)
def test_a_key_in_the_file_is_refused_and_not_shown(fields: dict[str, object]):
    with pytest.raises(SettingsError) as caught:
        parse_settings(profile_table(**fields))
    assert SECRET not in str(caught.value)
    if "base_url" not in fields:
        assert "environment variable" in str(caught.value)


def test_a_token_limit_is_not_taken_for_a_key():
    with pytest.raises(SettingsError, match="max_tokens: unknown key"):
        parse_settings(profile_table(max_tokens=100))


def test_broken_files(settings_file: Path):
    settings_file.write_text("models = [")
    with pytest.raises(SettingsError, match="not TOML"):
        load_settings()
    settings_file.write_text("x = " + "[" * 5000)
    with pytest.raises(SettingsError, match="not TOML"):
        load_settings()
    settings_file.write_text("#" * 1_000_001)
    with pytest.raises(SettingsError, match="at most 1000000 bytes"):
        load_settings()


def test_an_unknown_profile_names_those_known():
    settings = parse_settings(profile_table())
    with pytest.raises(SettingsError, match=r"models = 'other'.*known: m"):
        settings.profile("other")
    with pytest.raises(SettingsError, match=r"add \[models.other\]"):
        Settings().profile("other")


@pytest.mark.parametrize(("given", "lacking"), [("in", "out"), ("out", "in"), ("cached", "in")])
def test_a_price_needs_the_others_beside_it(given: str, lacking: str):
    with pytest.raises(SettingsError) as caught:
        parse_settings(profile_table(**{f"dollars_per_million_tokens_{given}": 1.0}), "s.toml")
    assert str(caught.value) == (
        f"s.toml: models.m: dollars_per_million_tokens_{given} needs "
        f"dollars_per_million_tokens_{lacking} beside it"
    )


def test_an_outside_brief_reads_allowed_folders_only(tmp_path: Path):
    allowed, other = tmp_path / "allowed", tmp_path / "allowed-not"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "images.npz").touch()
    (allowed / "way-out").symlink_to(other)
    (allowed / "alias.npz").symlink_to(allowed / "images.npz")
    settings = Settings(allowed_folders=(str(allowed),))

    assert check_outside_brief(brief_with("digits"), Settings()).task.data == "digits"
    for name in ("images.npz", "alias.npz"):
        checked = check_outside_brief(brief_with(str(allowed / name)), settings)
        assert checked.task.data == str((allowed / "images.npz").resolve())

    refused = [
        str(other / "images.npz"),
        str(other / "absent.npz"),
        str(allowed / "way-out" / "images.npz"),
        str(allowed / ".." / "allowed-not" / "images.npz"),
        "images.npz",
        "~/images.npz",
        "a\0b",
    ]
    for data in refused:
        with pytest.raises(BriefError, match=r"task\.data = .*a brief from outside may read"):
            check_outside_brief(brief_with(data), settings)
    with pytest.raises(BriefError, match="no such file"):
        check_outside_brief(brief_with(str(allowed / "absent.npz")), settings)
    with pytest.raises(BriefError, match="no folder"):
        check_outside_brief(brief_with(str(allowed / "images.npz")), Settings())


def test_a_loop_of_links_is_refused(tmp_path: Path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    settings = Settings(allowed_folders=(str(tmp_path),))
    with pytest.raises(BriefError, match="a brief from outside may read"):
        check_outside_brief(brief_with(str(tmp_path / "a")), settings)


def test_an_allowed_folder_may_itself_be_a_link(tmp_path: Path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "images.npz").touch()
    (tmp_path / "link").symlink_to(real)
    settings = Settings(allowed_folders=(str(tmp_path / "link"),))
    checked = check_outside_brief(brief_with(str(tmp_path / "link" / "images.npz")), settings)
    assert checked.task.data == str((real / "images.npz").resolve())
