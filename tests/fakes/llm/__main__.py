"""A model that repeats the question, to try a Tandem by hand: `python -m tests.fakes.llm`."""

import argparse
import asyncio
import contextlib
import sys

from tests.fakes.llm import KEY, MODEL, Asked, FakeModel, Reply
from tests.fakes.serving import served


def repeat(asked: Asked) -> Reply:
    return Reply(f"You asked: {asked.question}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    port: int = parser.parse_args().port
    model = FakeModel()
    model.otherwise = repeat
    async with served(model.app, port=port) as url:
        sys.stdout.write(f"model {MODEL!r} at {url}/v1 with the key {KEY!r}; Ctrl-C ends it\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
