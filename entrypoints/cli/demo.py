"""Simulates a plant whose alarms stand, chatter, flood and clear, through the public HTTP API alone."""

import asyncio
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice

import httpx

logger = logging.getLogger("tocsin.demo")

RATE = 5.0
"""The most reports that the plant makes a second."""
SEED = 7
CALL_SECONDS = 10.0
RETRY_SECONDS = 2.0

AREAS = ("boiler", "turbine", "cooling", "intake")
FAULTS = (
    ("pressure_high", "major", "{:.1f} bar"),
    ("temperature_high", "minor", "{:.0f} °C"),
    ("vibration", "warning", "{:.1f} mm/s"),
    ("level_low", "critical", "{:.0f} %"),
)
STANDING = 6
"""How many alarms the plant raises at the start and never clears, so that they become stale."""
CHATTERS = 8
"""How often a chattering alarm is raised and cleared in a row."""
FLOOD = 40
"""How many alarms a trip raises within seconds; an operator can handle ten in ten minutes (ISA-18.2)."""


@dataclass(frozen=True, slots=True)
class Report:
    """A device's report: a path of the API and the body to post there."""

    path: str
    body: dict[str, str]


def plant(seed: int = SEED) -> Iterator[Report]:
    """Yield the plant's reports without end; the same seed gives the same reports."""
    dice = random.Random(seed)
    yield from islice(_standing(dice), STANDING)
    for episode in cycle((_drift, _chatter, _drift, _flood)):
        yield from episode(dice)


def _standing(dice: random.Random) -> Iterator[Report]:
    for number in range(STANDING):
        yield _raised(f"cabinet/door-{number + 1}", ("door_open", "warning", "open"), dice)


def _drift(dice: random.Random) -> Iterator[Report]:
    """Raise alarms of a few devices, one by one, and clear most of them."""
    for _ in range(dice.randint(3, 8)):
        source, fault = _device(dice), dice.choice(FAULTS)
        yield _raised(source, fault, dice)
        if dice.random() < 0.7:  # noqa: PLR2004 (operators deal with the rest)
            yield _cleared(source, fault)


def _chatter(dice: random.Random) -> Iterator[Report]:
    """Raise and clear one device's alarm again and again."""
    source, fault = _device(dice), dice.choice(FAULTS)
    for _ in range(CHATTERS):
        yield _raised(source, fault, dice)
        yield _cleared(source, fault)


def _flood(dice: random.Random) -> Iterator[Report]:
    """Raise alarms all over one area, as a trip does, and clear most of them."""
    area = dice.choice(AREAS)
    hit = [(f"{area}/unit-{number + 1}", dice.choice(FAULTS)) for number in range(FLOOD)]
    recovered = [each for each in hit if dice.random() < 0.9]  # noqa: PLR2004 (as in _drift)
    yield from chain(
        (_raised(source, fault, dice) for source, fault in hit),
        (_cleared(source, fault) for source, fault in recovered),
    )


def _device(dice: random.Random) -> str:
    return f"{dice.choice(AREAS)}/unit-{dice.randint(1, FLOOD)}"


def _raised(source: str, fault: tuple[str, str, str], dice: random.Random) -> Report:
    kind, severity, template = fault
    text = template.format(dice.uniform(5, 95))
    return Report("/v1/alarms", {"source": source, "type": kind, "severity": severity, "text": text})


def _cleared(source: str, fault: tuple[str, str, str]) -> Report:
    return Report("/v1/clear", {"source": source, "type": fault[0]})


async def simulate(url: str, token: str | None = None, rate: float = RATE, seed: int = SEED) -> None:
    """Post the plant's reports to the server at `url`, at most `rate` a second, until cancelled."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=CALL_SECONDS, trust_env=False
    ) as client:
        for report in plant(seed):
            await _report(client, report)
            await asyncio.sleep(1 / rate)


async def _report(client: httpx.AsyncClient, report: Report) -> None:
    """Post one report; like a simple device, drop it if the server does not take it."""
    try:
        answer = await client.post(report.path, json=report.body)
        if answer.is_server_error:
            await asyncio.sleep(RETRY_SECONDS)
        elif answer.is_error and "unknown_alarm" not in answer.text:
            logger.warning("report refused: %s %s: %s", report.path, report.body, answer.text)
    except httpx.HTTPError as error:
        logger.warning("report lost: %s", type(error).__name__)
        await asyncio.sleep(RETRY_SECONDS)
