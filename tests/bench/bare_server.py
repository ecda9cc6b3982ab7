"""The least that could do it: POST -> insert_one -> change stream -> every WebSocket.

python -m tests.bench.bare_server URI DATABASE PORT
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from motor.motor_asyncio import AsyncIOMotorClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


def application(uri: str, name: str) -> Starlette:
    """Return the application over the collection `raw` of a database."""
    sockets: set[WebSocket] = set()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        uri, w="majority", readConcernLevel="majority"
    )
    collection = client[name]["raw"]

    async def insert(request: Request) -> JSONResponse:
        body = msgspec.json.decode(await request.body())
        await collection.insert_one(body)
        return JSONResponse({"changed": True})

    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        sockets.add(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            sockets.discard(websocket)

    async def follow(ready: asyncio.Event) -> None:
        async with collection.watch() as changes:
            await changes.try_next()
            ready.set()
            async for change in changes:
                document = change["fullDocument"]
                del document["_id"]
                text = msgspec.json.encode(document).decode()
                for websocket in list(sockets):
                    await websocket.send_text(text)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        ready = asyncio.Event()
        following = asyncio.create_task(follow(ready))
        await ready.wait()
        yield
        following.cancel()

    async def alive(_request: Request) -> JSONResponse:
        return JSONResponse({})

    routes = [
        Route("/", alive),
        Route("/", insert, methods=["POST"]),
        WebSocketRoute("/stream", stream),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Serve until killed."""
    uri, name, port = sys.argv[1:]
    uvicorn.run(
        application(uri, name),
        port=int(port),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
        access_log=False,
    )


if __name__ == "__main__":
    main()
