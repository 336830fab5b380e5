"""A Telegram of your own, by hand: what you type, a customer writes; what the bot says, you see."""

import asyncio
import sys

from storage.ids import utc_now
from tests.fakes.telegram.network import TOKEN, Telegram

HOW = """
Telegram for one bot is at {url}

    TANDEM_CHANNELS__TELEGRAM__TOKEN={token} \\
    TANDEM_CHANNELS__TELEGRAM__API_URL={url} make run

Type a line to write to the bot; "!LABEL" presses that button; an empty line ends.
"""


async def main() -> None:
    network = Telegram(utc_now)
    mia = network.customer("Mia")
    mia.start()
    async with network.served() as url:
        print(HOW.format(url=url, token=TOKEN), flush=True)  # noqa: T201
        showing = asyncio.create_task(_show(network, mia.id))
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            try:
                mia.press(line[1:]) if line.startswith("!") else mia.write(line)
            except AssertionError as error:
                print(error, flush=True)  # noqa: T201
        showing.cancel()


async def _show(network: Telegram, chat: int) -> None:
    """Print what changed on the screen; bring updates to a webhook, if there is one."""
    seen: list[str] = []
    while True:
        now = [str(one) for one in network.screen(chat)]
        for line in now:
            if line not in seen and line.startswith("bot: "):
                print(line, flush=True)  # noqa: T201
        seen = now
        await network.deliver()
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
