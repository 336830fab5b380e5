"""A talk begins on the website, goes on in Telegram with a person in it, and is parted again."""

import re

from sqlmodel import Session, col, select

from gateway.history import items_after
from gateway.messages import Item
from gateway.models import Identity, Link
from tests.channels.telegram.site import Site
from tests.fakes.telegram import Customer


async def on_the_web(site: Site) -> list[Item]:
    """What the visitor of the website may read."""

    def read(session: Session) -> list[Item]:
        contact = session.exec(
            select(Identity.contact_id).where(Identity.external_id == "v1")
        ).one()
        return items_after(session, contact)

    return await site.world.store.read(read)


async def begin_on_the_web(site: Site) -> str:
    """A visitor asks, and presses "continue on Telegram"; the code in the link they are told."""
    await site.world.ask("How long can I return it?")
    told = await site.world.ask("", action="continue_on-telegram")
    links = [found for item in told if (found := re.search(r"t\.me/(\w+)\?start=(\S+)", item.text))]
    assert links[-1][1] == "tandem_bot"
    return links[-1][2].rstrip(".")


async def test_one_talk_from_the_website_to_telegram_and_back_apart(site: Site, mia: Customer):
    """By the deep link it is one talk: Ana's reply reaches Telegram, the website shows it, too;
    undone, each side has its own again."""
    code = await begin_on_the_web(site)
    mia.start(code)
    await site.settle()
    mia.write("And what about abroad?")
    await site.settle()
    await site.claim()
    await site.reply("I am Ana. Abroad it is 60 days.")
    await site.settle()
    joined = await on_the_web(site)
    heard = mia.heard()

    def undo(session: Session) -> None:
        link = session.exec(select(Link).order_by(col(Link.id).desc())).one()
        site.world.links.undo(session, link.id, actor="agent:ana", reason="a mistake")

    await site.world.store.write(undo)
    await site.settle()
    apart = [item.text for item in await on_the_web(site) if item.author == "customer"]

    assert "I am Ana. Abroad it is 60 days." in heard[-1]
    said = [item.text for item in joined if item.author in ("customer", "agent")]
    assert said[0] == "How long can I return it?"
    assert said[-2:] == ["And what about abroad?", "I am Ana. Abroad it is 60 days."]
    assert "And what about abroad?" not in apart
    assert apart[0] == "How long can I return it?"
