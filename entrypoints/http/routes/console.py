"""Serves the operator's console at `/`: static files, with a policy against all other scripts."""

import hashlib
from functools import cache
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.accept_and_match import knows
from entrypoints.http.problems import Problem

FOLDER = Path(__file__).parents[2] / "console"
PAGE = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self' ws: wss:; font-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
"""Nothing inline: text that gets into the page as markup can do nothing."""
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class StaticFile(msgspec.Struct, frozen=True):
    """One of the console's files, and its headers."""

    content: bytes
    headers: dict[str, str]


async def show_page(request: Request) -> Response:
    """Return the page."""
    return _answer(request, files()[PAGE])


async def show_file(request: Request) -> Response:
    """Return one of the page's files."""
    found = files().get(request.path_params["name"])
    if found is None:
        raise Problem(404, "not_found", "the console has no such file")
    return _answer(request, found)


@cache
def files() -> dict[str, StaticFile]:
    """Return all files of the console, by their path in its folder."""
    paths = (path for path in FOLDER.rglob("*") if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    headers = {
        "Content-Type": f"{TYPES[path.suffix]}; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # Browsers revalidate at each opening, so that the page is of its server's version.
        "Cache-Control": "no-cache",
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:20]}"',
    }
    return StaticFile(content, headers)


def _answer(request: Request, file: StaticFile) -> Response:
    if knows(request, file.headers["ETag"]):
        return Response(None, 304, file.headers)
    return Response(file.content, headers=file.headers)


ROUTES = [
    Route("/", show_page),
    Route("/console/{name:path}", show_file),
]
