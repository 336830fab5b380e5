"""What a server under measurement says of itself, on both sides in the same form."""

import time
from collections.abc import Awaitable, Callable

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler


class Figures(msgspec.Struct, kw_only=True):
    """`cpu_s` of the whole process so far; `synchronous` and `journal` as the writing connection
    reports them; `stored`: how many rows of the kind that is measured are in the store."""

    cpu_s: float
    synchronous: int
    journal: str
    stored: int


Read = Callable[[], Awaitable[tuple[int, str, int]]]
"""Reads (synchronous, journal mode, rows stored) from the store's writing connection."""


def figures_route(read: Read) -> HTTPRouteHandler:
    @get("/figures")
    async def figures() -> Figures:
        cpu_s = time.process_time()  # first: the counting below is not what is measured
        synchronous, journal, stored = await read()
        return Figures(cpu_s=cpu_s, synchronous=synchronous, journal=journal, stored=stored)

    return figures
