"""The log on MongoDB with the appends of one process, for tests and benches that use both."""

from bson.raw_bson import RawBSONDocument

from adapters.mongo.client import Database
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EventStore
from core.application.appending import Appending
from tests.kit.hosts import HOST


class WritableLog(MongoLog, Appending[RawBSONDocument]):
    """Every port of the log on one database. Appending needs `running()`."""

    def __init__(self, database: Database, store: EventStore | None = None) -> None:
        events = store or EventStore(database)
        MongoLog.__init__(self, database, events)
        Appending.__init__(self, events, HOST.chance)
