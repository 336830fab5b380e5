"""A customer on Slack and the bot, as both see it."""

from tests.channels.slack.shop import Shop


async def test_a_question_in_a_direct_message_is_answered_with_its_source(either: Shop):
    """The words, the source in small print, nothing pinged, nothing previewed."""
    ana = either.acts.person("Ana")
    await either.say(ana, "How long do I have to return it?")
    screen = either.acts.screen(either.slack.workspace.direct(ana))

    assert [one.text for one in screen] == ["Within 30 days [1].\n[1] Returns"]
    assert await either.heard() == ["How long do I have to return it?"]
    assert not any(one.pings or one.markup or one.previews for one in screen)
