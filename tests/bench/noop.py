"""The floor of the HTTP bench: a Starlette route that reads the body and answers as much as a command's.

`python -m tests.bench.noop PORT`
"""

import socket
import sys

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWER = b'{"changed": true}'.ljust(900)
"""About as long as a command's answer."""


async def _noop(request: Request) -> Response:
    await request.body()
    return Response(ANSWER, 201, media_type="application/json")


async def _ready(_: Request) -> Response:
    return Response()


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    app = Starlette(routes=[Route("/noop", _noop, methods=["POST"]), Route("/readyz", _ready)])
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False)
    uvloop.run(uvicorn.Server(config).serve(sockets=[listener]))
