"""A plant to look at: its alarms stand, chatter, flood and clear, through the public HTTP API alone."""

import asyncio
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice

import httpx

logger = logging.getLogger("tocsin.demo")

RATE = 5.0
"""How many reports a second the plant makes, at most."""
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
"""How many alarms are raised at the start and then stand: stale before long."""
CHATTERS = 8
"""How often a chattering alarm comes and goes before it is quiet for a while."""
FLOOD = 40
"""How many alarms a trip brings within seconds: an operator can take ten in ten minutes (ISA-18.2)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a device says: a path of the API and the body to post there."""

    path: str
    body: dict[str, str]


def plant(seed: int = SEED) -> Iterator[Report]:
    """Yield what the plant reports, for ever; the same for the same seed."""
    dice = random.Random(seed)
    yield from islice(_standing(dice), STANDING)
    for episode in cycle((_drift, _chatter, _drift, _flood)):
        yield from episode(dice)


def _standing(dice: random.Random) -> Iterator[Report]:
    for number in range(STANDING):
        yield _raised(f"cabinet/door-{number + 1}", ("door_open", "warning", "open"), dice)


def _drift(dice: random.Random) -> Iterator[Report]:
    """Some devices go wrong and right again, one by one."""
    for _ in range(dice.randint(3, 8)):
        source, fault = _device(dice), dice.choice(FAULTS)
        yield _raised(source, fault, dice)
        if dice.random() < 0.7:  # noqa: PLR2004 (the rest stays for the operators)
            yield _cleared(source, fault)


def _chatter(dice: random.Random) -> Iterator[Report]:
    """One device at its limit comes and goes."""
    source, fault = _device(dice), dice.choice(FAULTS)
    for _ in range(CHATTERS):
        yield _raised(source, fault, dice)
        yield _cleared(source, fault)


def _flood(dice: random.Random) -> Iterator[Report]:
    """A trip: much of one area goes wrong, and most of it right again."""
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
    kind, severity, text = fault
    said = text.format(dice.uniform(5, 95))
    return Report("/v1/alarms", {"source": source, "type": kind, "severity": severity, "text": said})


def _cleared(source: str, fault: tuple[str, str, str]) -> Report:
    return Report("/v1/clear", {"source": source, "type": fault[0]})


async def simulate(url: str, token: str | None = None, rate: float = RATE, seed: int = SEED) -> None:
    """Report to the server at the address what the plant says, at most `rate` a second, until cancelled."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=CALL_SECONDS, trust_env=False
    ) as client:
        for report in plant(seed):
            await _report(client, report)
            await asyncio.sleep(1 / rate)


async def _report(client: httpx.AsyncClient, report: Report) -> None:
    """Make one report; what is not taken is lost, as a simple device's would be."""
    try:
        answer = await client.post(report.path, json=report.body)
        if answer.is_server_error:
            await asyncio.sleep(RETRY_SECONDS)
        elif answer.is_error and "unknown_alarm" not in answer.text:
            logger.warning("refused: %s %s: %s", report.path, report.body, answer.text)
    except httpx.HTTPError as error:
        logger.warning("not taken: %s", type(error).__name__)
        await asyncio.sleep(RETRY_SECONDS)
