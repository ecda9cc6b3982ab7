"""Every `code` of a problem: its status, meaning and remedy."""

from collections.abc import Iterable

import msgspec

from core.access.ports import TOO_MANY_API_KEYS, UNKNOWN_API_KEY
from core.alarm.commands import REFUSALS
from core.errors import Refusal, RefusalKind
from core.log.handler import IDEMPOTENCY_KEY_REUSED
from entrypoints.http.json_pieces import ELEMENT_BYTES
from entrypoints.http.limits import (
    BODY_BYTES,
    BODY_SECONDS,
    COMMANDS,
    INGEST_BYTES,
    LEAST_BYTES_PER_SECOND,
    in_mebibytes,
)


class Code(msgspec.Struct, frozen=True):
    """A problem's code. `remedy`: what the client can do."""

    status: int
    meaning: str
    remedy: str


_OWN: dict[str, Code] = {
    "http_error": Code(
        400, "HTTP refuses the request, also with other statuses", "see `detail`, which says why"
    ),
    "malformed_json": Code(400, "the body is not JSON", "send JSON in UTF-8"),
    "incomplete_body": Code(400, "the connection ended before the body did", "send the request again"),
    "token_missing": Code(
        401, "the request has no credential", "send Authorization: Bearer with a token or API key"
    ),
    "token_invalid": Code(
        401, "the token or API key is not valid", "get another; `detail` says what is wrong"
    ),
    "expired": Code(401, "the token or API key has expired", "get another"),
    "revoked": Code(401, "the token or API key was revoked", "get another"),
    "forbidden_origin": Code(
        403, "a page of another origin may change nothing", "add the origin to TOCSIN_ALLOWED_ORIGINS"
    ),
    "forbidden_host": Code(
        403, "without authentication the host must be a loopback name", "use 127.0.0.1 or localhost"
    ),
    "not_found": Code(404, "there is nothing at this path", "look the path up in the API's description"),
    "unknown_webhook": Code(404, "there is no such webhook", "list the webhooks"),
    "unknown_row": Code(404, "there is no such row in the outbox", "list the outbox"),
    "method_not_allowed": Code(405, "the path does not take this method", "use one of those in Allow"),
    "not_acceptable": Code(406, "Accept names no media type of the answer", "accept application/json"),
    "too_many_webhooks": Code(409, "the tenant has the most webhooks possible", "remove one first"),
    "webhook_exists": Code(409, "a webhook with this id exists", "choose another id"),
    "webhook_of_file": Code(409, "the webhook is kept in the file of webhooks", "change it there"),
    "webhook_enabled": Code(409, "only a disabled webhook can be moved", "disable it first"),
    "already_routed": Code(
        409, "events after that position were already routed", "make a new webhook to get them again"
    ),
    "already_delivered": Code(409, "the row was delivered", "nothing: it is done"),
    "not_rendered": Code(409, "the row has no body: its event could not be rendered", "report `detail`"),
    "overtaken": Code(
        409, "a later event of the alarm was delivered", "nothing: a retry would undo that one"
    ),
    "log_changed": Code(409, "`log` names another log", "start over from the alarm list"),
    "body_too_slow": Code(
        408,
        f"the body took longer than {BODY_SECONDS:.0f} s and came at less than"
        f" {LEAST_BYTES_PER_SECOND // 1024} KiB a second",
        "send the request again, faster",
    ),
    "body_too_large": Code(413, f"the body is larger than {in_mebibytes(BODY_BYTES)}", "send less at once"),
    "too_many_commands": Code(
        413, f"there are more than {COMMANDS:,} commands in one request", "send fewer at once"
    ),
    "unsupported_media_type": Code(415, "the body is of another media type", "send application/json"),
    "bad_cursor": Code(422, "the cursor is not from this list", "begin with the first page"),
    "position_ahead": Code(422, "the position is ahead of the log", "start over if it is from another log"),
    "too_broad": Code(422, "the query would take too long", "name more conditions"),
    "too_many_requests": Code(429, "commands come faster than allowed", "wait as long as Retry-After says"),
    "internal": Code(500, "a fault of the server, which has logged it", "report it"),
    "unavailable": Code(503, "MongoDB is unreachable: nothing was done", "try again after Retry-After"),
    "outcome_unknown": Code(
        503,
        "MongoDB became unreachable midway: the command may have been carried out",
        "try again with the same Idempotency-Key",
    ),
    "newer_version": Code(
        503, "a newer version of Tocsin changed the alarm", "try again, at another process"
    ),
    "not_projected_yet": Code(503, "the list did not reach `min_position` in time", "try again"),
    "payload_too_large": Code(
        503,
        f"the ingested payload is larger than {in_mebibytes(INGEST_BYTES)},"
        f" or one alert in it than {in_mebibytes(ELEMENT_BYTES)}",
        "send smaller groups",
    ),
    "too_many_sessions": Code(
        503, "the process has no room for more sessions", "try again, or another process"
    ),
}
"""HTTP's own refusals, besides those of the domain's rules."""
_STATUS: dict[RefusalKind, int] = {
    "absent": 404,
    "conflict": 409,
    "forbidden": 403,
    "outdated": 412,
    "invalid": 422,
}
_REFUSALS: tuple[Refusal, ...] = (
    *REFUSALS.values(),
    IDEMPOTENCY_KEY_REUSED,
    UNKNOWN_API_KEY,
    TOO_MANY_API_KEYS,
)


def code_of(refusal: Refusal) -> Code:
    """Return the HTTP code of a domain's refusal."""
    return Code(_STATUS[refusal.kind], refusal.meaning, refusal.remedy)


_ALL = _OWN | {refusal.code: code_of(refusal) for refusal in _REFUSALS}
CODES: dict[str, Code] = dict(sorted(_ALL.items(), key=lambda named: (named[1].status, named[0])))
"""All codes, sorted by status and name."""


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """Group codes by their status, in the order of statuses."""
    grouped: dict[int, list[str]] = {}
    for code in sorted(codes, key=lambda code: (CODES[code].status, code)):
        grouped.setdefault(CODES[code].status, []).append(code)
    return grouped
