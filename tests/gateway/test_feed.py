"""Hints: none that matters is lost, and nobody is woken by what does not concern them."""

from gateway.feed import RECENT_MAX, Feed

AT_ONCE_S = 0.001


async def test_what_changed_while_somebody_was_reading_is_told_at_once() -> None:
    """Subscribing since the moment before the read: no gap, and no second read for nothing."""
    feed = Feed()
    feed.publish(("a", "b"))
    moment = feed.moment
    feed.publish(("b",))
    async with feed.subscribe("a", since=moment) as a, feed.subscribe("b", since=moment) as b:
        told = [await one.wait(AT_ONCE_S) for one in (a, b)]

    assert told == [(False, []), (True, [])]


async def test_what_is_no_longer_remembered_counts_as_changed() -> None:
    """Of the limit plus one topics the oldest is forgotten; its reader looks once more, no other
    does."""
    feed = Feed()
    feed.publish(("first",))
    moment = feed.moment
    for number in range(RECENT_MAX):
        feed.publish((f"{number}",))
    kept = feed.moment
    async with (
        feed.subscribe("quiet", since=moment - 1) as before,
        feed.subscribe("quiet", since=moment) as at,
        feed.subscribe("quiet", since=kept) as after,
    ):
        told = [(await one.wait(AT_ONCE_S))[0] for one in (before, at, after)]

    assert told == [True, False, False]


async def test_who_wants_no_signals_sleeps_on() -> None:
    """Typing wakes a screen and no poll; a change wakes both."""
    feed = Feed()
    async with feed.subscribe("a") as screen, feed.subscribe("a", signals=False) as poll:
        feed.publish(("a",), {"type": "typing"})
        typing = [await one.wait(AT_ONCE_S) for one in (screen, poll)]
        feed.publish(("a",))
        changed = [await one.wait(AT_ONCE_S) for one in (screen, poll)]

    assert typing == [(False, [{"type": "typing"}]), (False, [])]
    assert changed == [(True, []), (True, [])]
