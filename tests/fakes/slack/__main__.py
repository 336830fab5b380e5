"""A workspace to try a Tandem with: type a line, and Ana says it to the app.

Usage: python -m tests.fakes.slack [PORT] [EVENTS_URL]. Without EVENTS_URL the app has to hold a
Socket Mode line. What the app posts is printed. `!LABEL` presses the newest button of that label.
"""

import asyncio
import sys

from tests.fakes.serving import served
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Acts, SlackServer
from tests.fakes.slack.workspace import Person


async def main(port: int, events_url: str) -> None:
    server = SlackServer()
    acts = Acts(server)
    ana = acts.person("Ana")
    server.events.events_url = events_url
    server.events.actions_url = events_url.replace("/events", "/interactivity")
    async with served(server.app, port=port) as server.url:
        tell(f"api_url = {server.api_url}")
        tell(f"bot_token = {BOT_TOKEN}")
        tell(f"app_token = {APP_TOKEN}")
        tell(f"signing_secret = {SIGNING_SECRET}")
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(show(acts, ana))
            await listen(acts, ana)
            showing.cancel()


async def show(acts: Acts, ana: Person) -> None:
    """Print what the app posts."""
    place, printed = acts.workspace.direct(ana), 0
    while True:
        for one in acts.screen(place)[printed:]:
            printed += 1
            tell(" ".join([f"< {one.text}", *(f"[{label}]" for label in one.buttons)]))
        await asyncio.sleep(0.2)


async def listen(acts: Acts, ana: Person) -> None:
    """Let Ana say what is typed, until the end of it."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        words = line.strip()
        if words.startswith("!"):
            await acts.press(ana, acts.workspace.direct(ana), words[1:])
        elif words:
            await acts.say(ana, words)


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    wanted = [*sys.argv[1:], *("8090", "")[len(sys.argv) - 1 :]]
    asyncio.run(main(int(wanted[0]), wanted[1]))
