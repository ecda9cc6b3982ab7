"""Answers without an event in memory, for tests."""

from core.log.ports import KeptAnswer


class MemoryAnswers:
    """The answers (see core.log.ports.Answers) in a dict, kept for as long as it lasts."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], KeptAnswer] = {}

    async def find(self, tenant: str, command_id: str) -> KeptAnswer | None:
        """Return the first answer kept under the key."""
        return self._answers.get((tenant, command_id))

    async def keep(self, tenant: str, command_id: str, answer: KeptAnswer) -> None:
        """Keep the answer, unless the key has one."""
        self._answers.setdefault((tenant, command_id), answer)
