"""Use one client inside an aiohttp application: upload to your own handler, get the transcript back.

Run it with: python examples/web_handler.py

The program calls itself once to show the answer. In a real application `make_app` is all you need.
"""

from collections.abc import AsyncIterator

import aiofiles
import aiohttp
from aiohttp import web

from symbl_async import JobFailedError, Stream, SymblClient, run

CLIENT: web.AppKey[SymblClient] = web.AppKey("client", SymblClient)


async def symbl(app: web.Application) -> AsyncIterator[None]:
    """One client for the life of the application; its pool, token and scheduler are shared by all requests."""
    async with SymblClient.local() as client:
        app[CLIENT] = client
        yield


async def transcribe(request: web.Request) -> web.Response:
    """Pass the body on as it arrives, nothing is kept in memory; a client that hangs up cancels the wait only."""
    if request.content_length is None:
        raise web.HTTPLengthRequired
    client = request.app[CLIENT]
    upload = Stream(request.content.iter_any(), request.content_length)
    handle = await client.audio.submit(upload, name=request.query.get("name"))
    try:
        conversation = await handle.wait(timeout=600)
    except JobFailedError as error:
        return web.json_response({"error": str(error)}, status=422)
    messages = await conversation.messages()
    return web.json_response({"conversation": conversation.id, "text": " ".join(m.text for m in messages)})


def make_app() -> web.Application:
    """Return the application."""
    app = web.Application(client_max_size=0)
    app.cleanup_ctx.append(symbl)
    app.router.add_post("/transcribe", transcribe)
    return app


async def main() -> None:
    """Serve on a free port and post one file to it."""
    runner = web.AppRunner(make_app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with (
            aiofiles.open("examples/media/librivox_sense_0870.wav", "rb") as file,
            aiohttp.ClientSession() as session,
            session.post(f"http://{host}:{port}/transcribe", data=await file.read()) as answer,
        ):
            print(answer.status, await answer.json())
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    run(main())
