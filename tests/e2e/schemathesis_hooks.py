"""What the tool that tries out the API's description cannot know."""

import re
import uuid
from typing import Any

import schemathesis

KEY = "Idempotency-Key"


def whole(value: Any) -> Any:
    """Write 3.0 as 3: a schema calls both an integer, the server only the second."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: whole(each) for key, each in value.items()}
        case list():
            return [whole(each) for each in value]
        case _:
            return value


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Give each request a key of its own: one that is used again is refused with good reason."""
    if isinstance(case.body, dict | list) and repr(written := whole(case.body)) != repr(case.body):
        case.body = written
    given = (case.headers or {}).get(KEY)
    if isinstance(given, str) and re.fullmatch("[!-~]{1,255}", given):
        case.headers[KEY] = str(uuid.uuid4())
