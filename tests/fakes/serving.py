"""Serving a fake provider on a free port of this machine."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served(app: web.Application, *, port: int = 0) -> AsyncGenerator[str]:
    """The address of `app`, while it is served in this very loop."""
    # No access log: it would hold what our own logs are searched for.
    runner = web.AppRunner(app, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        host, taken = runner.addresses[0][:2]
        yield f"http://{host}:{taken}"
    finally:
        await runner.cleanup()
