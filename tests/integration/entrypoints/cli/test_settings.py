"""Settings as commands get them: from flags, from variables, or as they are by default."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from core.errors import StartupRefused
from entrypoints.cli import main
from entrypoints.cli.parameters import with_settings
from entrypoints.cli.serve import _children
from entrypoints.cli.settings_table import renewed
from entrypoints.process.setting_declaration import Command, declared
from entrypoints.process.settings import DEFAULT_URI, Settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away the variables of whoever runs the tests, and the folder that `tocsin up` left."""
    for each in declared(Settings):
        monkeypatch.delenv(each.variable, raising=False)
    monkeypatch.chdir(tmp_path)


def given(command: Command, *flags: str, **variables: str) -> Settings:
    """Return the settings that a command gets."""
    got: list[Settings] = []

    def take(settings: Settings) -> None:
        got.append(settings)

    app = typer.Typer()
    app.command()(with_settings(command, take))
    ended = CliRunner().invoke(app, flags, env=variables)
    assert ended.exit_code == 0, ended.output
    return got[0]


def test_without_flags_or_variables_every_setting_has_its_default() -> None:
    assert given("serve") == Settings()
    assert given("worker") == Settings(port=8081)


def test_a_flag_wins_over_its_variable() -> None:
    assert given("serve", TOCSIN_MAX_SESSIONS="7", TOCSIN_FEED="local") == Settings(
        max_sessions=7, feed="local"
    )
    assert given("serve", "--max-sessions", "8", TOCSIN_MAX_SESSIONS="7") == Settings(max_sessions=8)


def test_lists_are_separated_by_commas() -> None:
    flags = ("--allowed-origins", " https://a.example/ ,,https://b.example", "--webhook-allow", "10.0.0.0/8")
    settings = given("up", *flags)
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.webhook_allow == ("10.0.0.0/8",)


def test_the_limits_set_are_those_of_the_process() -> None:
    flags = ("--max-subscriptions", "2", "--max-message-bytes", "2048", "--stall-seconds", "0.5")
    limits = given("serve", *flags).limits
    assert (limits.subscriptions, limits.message_bytes, limits.stall_seconds) == (2, 2048, 0.5)


def test_mongodb_is_where_tocsin_up_has_it_in_this_folder() -> None:
    assert given("verify").mongodb_uri == DEFAULT_URI
    Path(".tocsin").mkdir()
    Path(".tocsin/port").write_text("12345")
    assert ":12345/" in given("verify").mongodb_uri
    assert given("verify", "--mongodb-uri", "mongodb://db/").mongodb_uri == "mongodb://db/"


def test_settings_show_no_secrets() -> None:
    assert "hidden" not in repr(Settings(auth_secret="hidden", token="hidden"))


def test_a_setting_beyond_its_bound_is_refused() -> None:
    ended = CliRunner().invoke(main.command_line(), ["serve", "--processes", "65"])
    assert ended.exit_code == 2
    assert "--processes" in ended.output


def test_the_version_is_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "version", lambda name: {"tocsin": "1.2.3"}[name])
    ended = CliRunner().invoke(main.command_line(), ["--version"])
    assert (ended.exit_code, ended.output) == (0, "tocsin 1.2.3\n")


def test_without_an_installation_there_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(main, "version", missing)
    ended = CliRunner().invoke(main.command_line(), ["--version"])
    assert (ended.exit_code, ended.output) == (0, "tocsin (not installed: run from its source)\n")


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(ValueError, match="Made by"):
        renewed("# Operations\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_an_address_at_which_no_process_reaches_another_is_refused(host: str) -> None:
    with pytest.raises(StartupRefused, match="TOCSIN_PEER_HOST"):
        Settings(peer_host=host).check()
    Settings(peer_host="10.0.0.1").check()


def test_each_child_listens_for_peers_on_a_port_of_its_own() -> None:
    for own in (False, True):
        children = _children(Settings(processes=2, peer_port=9_000, own_ports=own))
        assert [child[child.index("--peer-port") + 1] for child in children] == ["9000", "9001"]
    assert all("--peer-port" not in child for child in _children(Settings(processes=2)))
