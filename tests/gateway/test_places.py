"""What channels say beside plain messages: albums, replies, edits, moved chats, closed doors."""

from typing import Any

from sqlmodel import Session, col, select

from gateway.conversations import Draft
from gateway.errors import Blocked, Moved, Refused
from gateway.files import FILES_PER_MESSAGE_MAX
from gateway.history import transcript
from gateway.messages import Line
from gateway.models import Contact, Conversation, InboxEvent, Message
from tests.gateway.world import ANA, World


async def come(world: World, *events: dict[str, Any]) -> None:
    """Events arrive on the memory channel and are read."""
    for fields in events:
        await world.ingress.store(world.memory.event_of(**({"chat": "c1"} | fields)))
    await world.worker.settle()


async def lines(world: World, visitor: str = "c1") -> list[Line]:
    return await world.act(lambda session, one: transcript(session, one.id), visitor=visitor)


async def stored(world: World) -> list[Message]:
    return await world.store.read(lambda s: list(s.exec(select(Message).order_by(col(Message.id)))))


def photo(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"p{n}", "album": "holiday", "attachments": [{"kind": "image"}], **more}


async def test_an_album_is_one_message_with_all_its_pictures(world: World) -> None:
    """Three events, the words with the second: one line, three files, one hand-over."""
    await come(world, photo(1), photo(2, text="Is this damage covered?"), photo(3))
    [album] = [one for one in await stored(world) if one.author == "customer"]

    assert album.text == "Is this damage covered?"
    assert [file["kind"] for file in album.attachments] == ["image"] * 3
    assert len(world.inbox.opened) == 1


async def test_an_album_that_comes_again_changes_nothing(world: World) -> None:
    """Each part is known by its own id."""
    await come(world, photo(1), photo(2))
    again = [photo(n, event_id=f"again{n}") for n in (1, 2)]
    await come(world, *again)
    [album] = [one for one in await stored(world) if one.author == "customer"]

    assert len(album.attachments) == 2


async def test_an_album_beyond_the_limit_keeps_the_first_files(world: World) -> None:
    """The eleventh picture is left out, the message is not."""
    await come(world, *[photo(n) for n in range(FILES_PER_MESSAGE_MAX + 1)])
    [album] = [one for one in await stored(world) if one.author == "customer"]

    assert len(album.attachments) == FILES_PER_MESSAGE_MAX


async def test_the_same_album_id_in_two_chats_is_two_messages(world: World) -> None:
    """An album belongs to its place."""
    await come(world, photo(1), photo(1, chat="c2", id="q1"))

    assert len([one for one in await stored(world) if one.author == "customer"]) == 2


async def test_a_reply_names_what_it_answers_on_both_sides(world: World) -> None:
    """The customer replies to the bot's line; Ana replies to the customer's, and it shows there."""
    await come(world, {"id": "q1", "text": "How long?"})
    bots = world.memory.sent[-1].external_id
    await come(world, {"id": "q2", "text": "a person, please", "reply_to": bots})
    question = next(one for one in await stored(world) if one.text == "How long?")
    answer = next(one for one in await stored(world) if one.author == "bot")
    second = next(one for one in await stored(world) if one.text == "a person, please")
    draft = Draft(text="I look into it.", author=ANA, reply_to=question.id)
    await world.act(lambda s, c: world.conversations.say(s, c, draft), visitor="c1")
    await world.outbox.drain()
    shown = world.memory.sent[-1].message

    assert second.reply_to == answer.id
    assert shown is not None
    assert shown.reply_to == "q1"


async def test_an_edit_whose_original_never_comes_counts_as_the_message(world: World) -> None:
    """After a minute the edited words are answered; the original, if it still comes, is known."""
    await come(world, {"id": "e1", "edits": "m1", "text": "How long exactly?"})
    before = await stored(world)
    for _ in range(40):
        world.clock.turn(seconds=2)
        await world.worker.settle()
    await come(world, {"id": "m1", "text": "How long?"})
    customers = [one.text for one in await stored(world) if one.author == "customer"]

    assert before == []
    assert customers == ["How long exactly?"]
    assert len(world.answerer.asked) == 1


async def test_a_deletion_whose_original_never_comes_is_forgotten(world: World) -> None:
    """There is nothing to take back."""
    await come(world, {"id": "d1", "deletes": "m1"})
    for _ in range(40):
        world.clock.turn(seconds=2)
        await world.worker.settle()
    [event] = await world.store.read(lambda s: list(s.exec(select(InboxEvent))))

    assert event.state == "ignored"
    assert await stored(world) == []


async def test_words_that_do_not_name_us_count_only_where_we_talk_already(world: World) -> None:
    """In a shared thread: not before the customer named us, and not from somebody else."""
    here = {"chat": "room", "thread": "t1", "from": "ann"}
    await come(world, here | {"text": "lunch?", "addressed": False})
    await come(world, here | {"text": "How long?"})
    await come(world, here | {"text": "And abroad?", "addressed": False})
    await come(world, here | {"text": "no idea", "addressed": False, "from": "bob"})
    said = [one.text for one in await stored(world) if one.author == "customer"]

    assert said == ["How long?", "And abroad?"]


async def test_threads_of_one_name_in_two_rooms_are_two_talks(world: World) -> None:
    """Thread ids are unique within a room only."""
    for room in ("room1", "room2"):
        await come(world, {"chat": room, "thread": "t1", "from": "ann", "text": "How long?"})
    talks = await world.store.read(lambda s: list(s.exec(select(Conversation))))

    assert len(talks) == 2
    assert len({talk.contact_id for talk in talks}) == 1


async def test_a_chat_that_moved_goes_on_under_its_new_id(world: World) -> None:
    """Told twice, and once more by the new chat's first message: one conversation."""
    here = {"chat": "old", "thread": "ann", "from": "ann"}
    await come(world, here | {"text": "How long?"})
    moved = {"type": "moved", "chat": "old", "to": "new"}
    await come(world, moved, moved | {"id": "twice"})
    await come(world, here | {"chat": "new", "text": "And abroad?"})
    talks = await world.store.read(lambda s: list(s.exec(select(Conversation))))

    assert [talk.reply_chat for talk in talks] == ["new"]
    assert len([one for one in await stored(world) if one.author == "customer"]) == 2
    assert len(world.memory.screen("new")) == 1


async def test_a_send_to_a_chat_that_moved_follows_it(world: World) -> None:
    """The provider says where it is now: the text goes there, once."""
    world.memory.fail_next(Moved("migrated", to_chat="new"))
    await come(world, {"chat": "old", "text": "How long?"})

    assert world.memory.screen("old") == []
    assert len(world.memory.screen("new")) == 1


async def test_a_customer_who_left_is_not_written_to_and_agents_read_why(world: World) -> None:
    """What waited is cancelled; a note says so; the next message resumes the talk."""
    await come(world, {"text": "a person, please"})
    world.memory.sent.clear()
    await come(world, {"type": "reachable", "reachable": False})
    notes = [line.text for line in await lines(world) if line.note]
    await come(world, {"type": "reachable", "reachable": True, "id": "back"})
    await come(world, {"text": "I am back, a person, please"})

    assert notes == ["The customer does not take messages on memory any more."]
    assert (await lines(world))[-1].text == "I am back, a person, please"


async def test_a_blocked_send_fails_with_its_reason_and_cancels_what_waits(world: World) -> None:
    """Ana reads that the customer blocked the bot; her second line is not tried."""
    await come(world, {"text": "a person, please"})
    await world.act(lambda s, c: world.conversations.claim(s, c, ANA), visitor="c1")
    await world.outbox.drain()
    for text in ("one", "two"):
        draft = Draft(text=text, author=ANA)
        await world.act(lambda s, c, d=draft: world.conversations.say(s, c, d), visitor="c1")
    world.memory.fail_next(Blocked("the customer blocked the bot"))
    await world.outbox.drain()
    delivery = {line.text: line.delivery for line in await lines(world)}

    assert (delivery["one"], delivery["two"]) == ("failed", "cancelled")
    assert not {"one", "two"} & set(world.memory.texts())


async def test_a_new_account_is_introduced_once(world: World) -> None:
    """The channel knows the name; it is asked for the first message only."""
    world.memory.profiles["c1"] = {"name": "Ann Lee", "language": "zh"}
    await come(world, {"text": "?!"})
    world.memory.profiles["c1"] = {"name": "somebody else"}
    await come(world, {"text": "?!", "id": "second"})
    [contact] = await world.store.read(lambda s: list(s.exec(select(Contact))))

    assert contact.name == "Ann Lee"


async def test_a_channel_that_cannot_introduce_delays_nobody_for_long(world: World) -> None:
    """It fails: the message is read under what it says itself."""
    world.memory.profiles["c1"] = Refused("missing scope")
    await come(world, {"text": "How long?", "name": "Ann"})
    [contact] = await world.store.read(lambda s: list(s.exec(select(Contact))))

    assert contact.name == "Ann"
    assert len(world.answerer.asked) == 1


async def test_the_tables_of_a_moved_chat_hold_no_old_key(world: World) -> None:
    """Thread keys of conversations and messages follow the chat."""
    here = {"chat": "old", "thread": "ann", "from": "ann"}
    await come(world, here | {"text": "How long?"})
    await come(world, {"type": "moved", "chat": "old", "to": "new"})

    def keys(session: Session) -> tuple[set[str], set[str]]:
        return (
            set(session.exec(select(Conversation.thread_key))),
            set(session.exec(select(Message.thread_key))),
        )

    talks, said = await world.store.read(keys)

    assert talks == said
    assert all("new" in key and "old" not in key for key in talks)
