"""Several commands of one request: side by side, those on one alarm in their order."""

import asyncio
from collections.abc import Iterator, Sequence

from core.alarm.commands import Command
from core.errors import Refused, Unavailable
from core.log.handler import CommandHandler, Outcome

Result = Outcome | Exception
"""What became of a command, or why it came to nothing or nobody knows."""

_NOT_TRIED = "not tried, since one before it could not be carried out"


async def carry_out(handler: CommandHandler, commands: Sequence[Command], at_once: int) -> list[Result]:
    """Carry out the commands, at most `at_once` of them at the same time; return a result for each.

    A refusal does not stop the others. Any other error stops those behind it on the same alarm, since
    they were meant to come after it; and who met it takes no more, so that a store that is away is asked
    `at_once` times and not for each. Those are Unavailable.
    """
    results: list[Result] = [Unavailable(_NOT_TRIED)] * len(commands)
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


async def _result(handler: CommandHandler, command: Command) -> Result:
    try:
        return await handler.handle(command)
    except Exception as error:  # noqa: BLE001 (it is this command's result; whoever asked tells it)
        return error
