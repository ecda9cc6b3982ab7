"""What core.log.ports.Answers promises, in memory and on MongoDB."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.memory.answers import MemoryAnswers
from adapters.mongo.client import Database
from adapters.mongo.log.answers import IDEMPOTENCY, KEPT_SECONDS, MongoAnswers
from core.log.ports import Answers, KeptAnswer

ODD = {
    "code": None,
    "alarm": {"labels": {"a.b": "1", "$c": "2", "": "3"}, "details": {"n": [1, None, 2.5, {"$x": 2}]}},
}


class AnswersContract:
    async def test_a_key_has_no_answer_before_one_is_kept(self, answers: Answers) -> None:
        assert await answers.find("default", "key") is None

    async def test_an_answer_is_found_as_it_was_kept(self, answers: Answers) -> None:
        await answers.keep("default", "key", KeptAnswer("hash", ODD))
        assert await answers.find("default", "key") == KeptAnswer("hash", ODD)

    async def test_the_first_answer_stays(self, answers: Answers) -> None:
        await answers.keep("default", "key", KeptAnswer("hash", {"code": "first"}))
        await answers.keep("default", "key", KeptAnswer("other", {"code": "second"}))
        assert await answers.find("default", "key") == KeptAnswer("hash", {"code": "first"})

    async def test_a_key_means_something_to_its_tenant_only(self, answers: Answers) -> None:
        await answers.keep("default", "key", KeptAnswer("hash", {}))
        assert await answers.find("other", "key") is None
        assert await answers.find("default", "other") is None

    async def test_of_many_answers_at_once_one_stays(self, answers: Answers) -> None:
        kept = [KeptAnswer(f"hash {n}", {"n": n}) for n in range(20)]
        await asyncio.gather(*(answers.keep("default", "key", answer) for answer in kept))
        first = await answers.find("default", "key")
        assert first in kept
        assert first == await answers.find("default", "key")

    async def test_keys_and_hashes_may_be_any_text(self, answers: Answers) -> None:
        await answers.keep("$tenant", "$key", KeptAnswer("$hash", {}))
        assert await answers.find("$tenant", "$key") == KeptAnswer("$hash", {})


class TestMemoryAnswers(AnswersContract):
    @pytest.fixture
    def answers(self) -> MemoryAnswers:
        return MemoryAnswers()


class TestMongoAnswers(AnswersContract):
    @pytest_asyncio.fixture
    async def answers(self, connected: Database) -> AsyncIterator[MongoAnswers]:
        answers = MongoAnswers(connected)
        await answers.create()
        yield answers

    async def test_an_answer_ends_after_a_day(self, answers: MongoAnswers, connected: Database) -> None:
        await answers.keep("default", "key", KeptAnswer("hash", {}))
        index = (await connected[IDEMPOTENCY].index_information())["kept_at"]
        assert index["expireAfterSeconds"] == KEPT_SECONDS
        document = await connected[IDEMPOTENCY].find_one()
        assert document is not None
        assert set(document) == {"_id", "command_hash", "body", "kept_at"}
