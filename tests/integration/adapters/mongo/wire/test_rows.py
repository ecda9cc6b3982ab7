"""Rows written by commands of bounded size."""

from typing import Any

import pytest
from pymongo.errors import OperationFailure

from adapters.mongo.client import Database
from adapters.mongo.wire import rows
from adapters.mongo.wire.held_connections import HeldConnections
from adapters.mongo.wire.rows import collided, insert_rows, update_rows
from tests.kit.replicasets import ReplicaSet


def row(number: int, text: str = "x") -> dict[str, Any]:
    return {"_id": number, "text": text * 200}


@pytest.fixture(autouse=True)
def _small_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "COMMAND_BYTES", 1_000)


async def test_rows_in_several_commands_are_all_written(connected: Database, held: HeldConnections) -> None:
    assert await insert_rows(held, "rows", [row(number) for number in range(30)]) == []
    changed = [{"q": {"_id": n}, "u": row(n, "y"), "upsert": True} for n in range(40)]
    assert await update_rows(held, "rows", changed) == []
    assert await connected["rows"].count_documents({"text": "y" * 200}) == 40


async def test_rows_that_exist_are_named_by_their_index_in_all(held: HeldConnections) -> None:
    await insert_rows(held, "rows", [row(3), row(17)])
    assert await insert_rows(held, "rows", [row(number) for number in range(20)]) == [3, 17]
    assert await insert_rows(held, "rows", []) == []


async def test_what_was_not_replicated_is_an_error(
    replica_set: ReplicaSet, connected: Database, held: HeldConnections
) -> None:
    # The server inserts for itself too.
    to = {"failCommands": ["insert"], "namespace": f"{connected.name}.rows"}
    error = {"code": 64, "errmsg": "too slow"}
    replica_set.primary().fail_point("failCommand", {"times": 1}, writeConcernError=error, **to)
    with pytest.raises(OperationFailure) as refused:
        await insert_rows(held, "rows", [row(1)])
    assert refused.value.code == 64


def test_a_lasting_error_stands_for_a_passing_one() -> None:
    errors = [{"index": 0, "code": 11600, "errmsg": "a"}, {"index": 1, "code": 121, "errmsg": "b"}]
    with pytest.raises(OperationFailure) as refused:
        collided({"writeErrors": errors})
    assert refused.value.code == 121
