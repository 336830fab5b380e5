"""A workspace to try a Tandem with: type a line, and Ana says it to the app.

Usage: python -m tests.fakes.slack [PORT] [EVENTS_URL]. Without EVENTS_URL the app has to hold a
Socket Mode line. What the app posts is printed.
"""

import asyncio
import sys

from tests.fakes.serving import served
from tests.fakes.slack import Acts, SlackServer


async def main(port: int, events_url: str) -> None:
    server = SlackServer()
    acts = Acts(server)
    ana = acts.person("Ana")
    server.events.events_url = events_url
    server.events.actions_url = events_url.replace("/events", "/interactivity")
    async with served(server.app, port=port) as server.url:
        place, printed = server.workspace.direct(ana), 0
        reading = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while True:
            done, _ = await asyncio.wait([reading], timeout=0.5)
            for _one in acts.screen(place)[printed:]:
                printed += 1
            if done:
                if not (line := reading.result()):
                    return
                await acts.say(ana, line.strip())
                reading = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))


if __name__ == "__main__":
    port, events_url, *_ = [*sys.argv[1:], "8090", ""] if len(sys.argv) < 3 else sys.argv[1:]
    asyncio.run(main(int(port), events_url))
