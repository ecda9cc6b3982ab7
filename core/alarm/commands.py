"""All that can be asked of an alarm. What belongs to a command stands in the file of its kind."""

from collections.abc import Mapping
from typing import get_args

from core.alarm.condition import Condition
from core.alarm.context import OF_EVERY_COMMAND
from core.alarm.notes import Note
from core.alarm.responses import OperatorResponse
from core.alarm.suppression import Suppression
from core.errors import Refusal

Command = Condition | OperatorResponse | Suppression | Note

COMMANDS: tuple[type[Command], ...] = get_args(Command)
"""In the order in which `allowed_commands` names them."""

REFUSALS: Mapping[str, Refusal] = {
    refusal.code: refusal
    for refusals in (OF_EVERY_COMMAND, *(each.refusals for each in COMMANDS))
    for refusal in refusals
}
"""All that a command can be refused for by the alarm's rules, by code."""
