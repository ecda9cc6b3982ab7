"""Settings that all processes must share: each process tells which of them another has otherwise."""

import logging
from pathlib import Path

import pytest

from adapters.memory.settings_board import MemorySettingsBoard
from core.application.agreement import Agreement
from entrypoints.process.settings import Settings
from entrypoints.process.shared_settings import digests_of


def agreement(board: MemorySettingsBoard, process: str, settings: dict[str, str]) -> Agreement:
    return Agreement(board, process, lambda: settings, lambda: 0.5)


async def test_each_process_tells_of_a_difference_once_and_of_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    board, settings = MemorySettingsBoard(), {"allow": "a", "feed": "f"}
    one, two = agreement(board, "one", settings), agreement(board, "two", {"allow": "b", "feed": "f"})
    for _ in range(3):
        await one.compare()
        await two.compare()
    assert one.warnings() == two.warnings() == ["another process has another allow"]
    assert len(caplog.records) == 2
    settings["allow"] = "b"
    await one.compare()
    await two.compare()
    assert one.warnings() == two.warnings() == []
    assert caplog.messages[2:] == ["all processes have the same allow again"] * 2


async def test_a_setting_that_an_earlier_version_does_not_announce_is_no_difference() -> None:
    board = MemorySettingsBoard()
    one, two = agreement(board, "one", {"new": "a"}), agreement(board, "two", {})
    await one.compare()
    await two.compare()
    await one.compare()
    assert not one.differing | two.differing


def test_what_is_set_otherwise_has_another_digest_and_no_digest_tells_what(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    secret = "s" * 32
    usual = digests_of(Settings(webhook_allow=("a", "b"), auth_secret=secret), "changestream")
    assert usual == digests_of(Settings(webhook_allow=("b", "a"), auth_secret=secret), "changestream")
    assert secret not in str(usual)
    for settings, kind in (
        (Settings(auth_secret=secret), "changestream"),
        (Settings(webhook_allow=("a", "b")), "changestream"),
        (Settings(webhook_allow=("a", "b"), auth_secret=secret), "local"),
        (Settings(webhook_allow=("a", "b"), auth_secret=secret, outbox_days=1), "changestream"),
    ):
        other = digests_of(settings, kind)  # type: ignore[arg-type]
        assert sum(usual[name] != other[name] for name in usual) == 1
    before = digests_of(Settings(auth_jwks=str(keys)), "changestream")
    keys.write_text("{ }")
    assert digests_of(Settings(auth_jwks=str(keys)), "changestream") != before
