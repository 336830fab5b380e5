"""Buttons over the web: every action of the closed set can be pressed at any time."""

import httpx
import pytest

from gateway.messages import ACTIONS
from tests.channels.site import signed


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_any_action_is_taken_in_and_shown_in_words(
    client: httpx.AsyncClient, token: str, action: str
):
    """Also one that nobody offered: a stale page, or a program. It reads as words, not as a key."""
    body = {"client_message_id": "c-1", "action": action}
    posted = await client.post("/chat/messages", json=body, headers=signed(token))
    read = (await client.get("/chat/messages", headers=signed(token))).json()
    text = read["items"][0]["text"]

    assert posted.status_code == 201
    assert text
    assert "{" not in text
    assert text != action
