"""Carries out the commands of one request side by side, those on one alarm in order."""

import asyncio
from collections.abc import Iterator, Sequence

from core.alarm.commands import Command
from core.errors import Refused, Unavailable
from core.log.handler import CommandHandler, Outcome

CommandResult = Outcome | Exception
"""A command's outcome, or the error that stopped it or left its outcome unknown."""

_NOT_TRIED = "not tried, since an earlier command could not be carried out"


async def carry_out(
    handler: CommandHandler, commands: Sequence[Command], at_once: int
) -> list[CommandResult]:
    """Carry out the commands, at most `at_once` of them at the same time; return a result for each.

    A refusal does not stop other commands. Any other error stops the later commands on its alarm, which
    were meant to follow it. It also ends the task that met it, so that an unreachable store is asked
    `at_once` times at most. Commands that were not tried are Unavailable.
    """
    results: list[CommandResult] = [Unavailable(_NOT_TRIED)] * len(commands)
    by_alarm: dict[str, list[int]] = {}
    for index, command in enumerate(commands):
        by_alarm.setdefault(command.alarm_id, []).append(index)
    waiting = iter(by_alarm.values())

    async def work(alarms: Iterator[list[int]]) -> None:
        for indexes in alarms:
            for index in indexes:
                results[index] = await _result(handler, commands[index])
                if not isinstance(results[index], Outcome | Refused):
                    return

    await asyncio.gather(*(work(waiting) for _ in range(min(at_once, len(by_alarm)))))
    return results


async def _result(handler: CommandHandler, command: Command) -> CommandResult:
    try:
        return await handler.handle(command)
    except Exception as error:  # noqa: BLE001 (the error is the command's result)
        return error
