"""Events as they may come, whatever is in them: read, ignored or set aside."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack.reading import FILES_MAX, TEXT_CHARS_MAX, House, read
from gateway.messages import InboundMessage, RawEvent

HOUSE = House(account="main", places=("dm", "mentions", "threads"), guests="allow",
              connect="refuse")  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner,
                                                                max_size=3),
    max_leaves=8,
)  # fmt: skip
FIELDS = ("type", "subtype", "channel", "channel_type", "user", "text", "ts", "thread_ts", "files",
          "message", "previous_message", "deleted_ts", "edited", "bot_id", "team")  # fmt: skip


def event(**fields: Any) -> RawEvent:
    base = {"type": "message", "channel": "D1", "user": "U1", "text": "hi", "ts": "1.000001"}
    envelope = {
        "type": "event_callback", "event_id": "E1", "team_id": "T1",
        "authorizations": [{"is_bot": True, "user_id": "U0", "team_id": "T1"}],
        "event": {name: value for name, value in (base | fields).items() if value is not None},
    }  # fmt: skip
    return RawEvent(channel="slack", account="main", external_id="E1",
                    headers={"content-type": "application/json"},
                    body=json.dumps(envelope).encode())  # fmt: skip


def said(**fields: Any) -> InboundMessage | None:
    return read(event(**fields), HOUSE)


@pytest.mark.parametrize(
    "subtype",
    ["channel_join", "channel_topic", "bot_message", "reminder_add", "message_replied",
     "assistant_app_thread", "huddle_thread", "pinned_item", "something_new"],
)  # fmt: skip
def test_slack_s_own_notes_are_no_messages(subtype: str):
    """People who join, topics that change, and kinds that do not exist yet."""
    assert said(subtype=subtype) is None


def test_an_action_line_is_a_message():
    """`/me waves` is said by a person."""
    message = said(subtype="me_message", text="waves")

    assert message is not None
    assert message.text == "waves"


@pytest.mark.parametrize(
    "fields",
    [{"user": "U0"}, {"bot_id": "B1"}, {"user": None}, {"user": "USLACKBOT"},
     {"type": "reaction_added"}, {"type": "message", "channel": "C1"}],
)  # fmt: skip
def test_what_is_not_a_person_speaking_to_us_is_ignored(fields: dict[str, Any]):
    """Ourselves, other apps, Slack, and channels in which nobody named us."""
    assert said(**fields) is None


def test_a_forwarded_message_is_something_we_cannot_read():
    """A person can see what it is; the bot is not asked about nothing."""
    message = said(text="", attachments=[{"is_share": True, "text": "x"}])

    assert message is not None
    assert [file.kind for file in message.attachments] == ["unsupported"]


def test_files_are_named_by_their_kind():
    """Pictures, voices, documents, and those that Slack does not give out."""
    files = [
        {"id": "F1", "mimetype": "image/png", "name": "a.png", "size": 3},
        {"id": "F2", "mimetype": "audio/mp4", "name": "v.m4a"},
        {"id": "F3", "mimetype": "application/pdf", "name": "<!here>.pdf"},
        {"id": "F4", "mode": "tombstone"}, {"id": "F5", "mode": "external", "name": "drive"},
    ]  # fmt: skip
    message = said(subtype="file_share", files=files)

    assert message is not None
    assert [(one.kind, one.reference) for one in message.attachments] == [
        ("image", "F1"), ("voice", "F2"), ("file", "F3"), ("unsupported", ""), ("unsupported", ""),
    ]  # fmt: skip


def test_a_message_has_limits():
    """Nothing that Slack lets people send comes near them."""
    message = said(text="x" * (TEXT_CHARS_MAX + 1), subtype="file_share",
                   files=[{"id": f"F{n}"} for n in range(FILES_MAX + 1)])  # fmt: skip

    assert message is not None
    assert (len(message.text), len(message.attachments)) == (TEXT_CHARS_MAX, FILES_MAX)


@pytest.mark.parametrize("ts", ["", "x", "1", "1.2.3", "-1.0", "1.000001\n", "٣.1", 1.5, []])
def test_an_odd_ts_sets_the_event_aside(ts: object):
    """It would be an id, and is compared with others."""
    with pytest.raises(ValueError, match="not a Slack ts"):
        said(ts=ts)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8), st.sampled_from(
    [None, "message_changed", "message_deleted", "file_share", "thread_broadcast"]))  # fmt: skip
def test_no_event_is_read_as_something_it_is_not(fields: dict[str, Any], subtype: str | None):
    """Whatever stands in it: a message, nothing, or an error that sets it aside."""
    try:
        found = said(**{"subtype": subtype, **fields})
    except (ValueError, TypeError, KeyError, OverflowError):
        return

    assert found is None or found.address.channel == "slack"
