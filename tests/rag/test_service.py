"""The librarian behind its socket answers, refuses and fails as it does in process."""

import asyncio
from pathlib import Path

import pytest

from rag.client import Line, RemoteKnowledge, RemoteLibrarian, RemoteLimits
from rag.errors import (
    IndexUnavailable,
    ModelUnavailable,
    SourceUnknown,
    SourceUnreadable,
)
from rag.types import (
    NumberedLine,
    Point,
    Question,
    Summary,
    Turn,
    Upload,
)
from tests.rag.librarians import ANSWER, EXPLANATION, LIMITS, Parts


async def test_a_question_and_its_answer_cross_the_socket_whole(serve) -> None:
    """Every field of both arrives as it was sent, in Chinese too."""
    parts = Parts()
    question = Question(text="如何转人工?", language="zh", history=(Turn("customer", "hi"),))
    async with serve(parts) as line:
        answer = await RemoteLibrarian(line).answer(question)

    assert answer == ANSWER
    assert parts.asked == [question]


async def test_an_answer_is_told_while_it_is_written(serve) -> None:
    """What may be shown comes first, in its order, and the answer at the end, whole."""
    parts, shown = Parts(), list[str]()
    parts.aloud = ["按“转人工”", "按“转人工”。"]
    async with serve(parts) as line:
        answer = await RemoteLibrarian(line).answer_aloud(Question(text="?"), shown.append)

    assert shown == ["按“转人工”", "按“转人工”。"]
    assert answer == ANSWER


@pytest.mark.parametrize("error", [IndexUnavailable("no index"), ModelUnavailable("no model")])
async def test_what_goes_wrong_while_it_is_told_arrives_as_it_was(serve, error) -> None:
    """The same error as without the telling, also after something was shown."""
    parts, shown = Parts(fails=error), list[str]()
    parts.aloud = ["half"]
    async with serve(parts) as line:
        with pytest.raises(type(error), match=str(error)):
            await RemoteLibrarian(line).answer_aloud(Question(text="?"), shown.append)

    assert shown == ["half"]


async def test_who_leaves_ends_the_answering(serve) -> None:
    """Nobody reads on: the librarian stops, and with it the model that it asks."""
    parts = Parts()
    parts.hold = asyncio.Event()
    parts.aloud = ["half"]
    async with serve(parts) as line:
        heard = asyncio.Event()
        remote = RemoteLibrarian(line)
        asking = asyncio.create_task(
            remote.answer_aloud(Question(text="mine"), lambda _: heard.set())
        )
        await heard.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(5):
            while not parts.ended:  # noqa: ASYNC110 - another process, in truth
                await asyncio.sleep(0.01)

    assert parts.ended == ["mine"]


async def test_telling_has_the_same_deadline(serve) -> None:
    """A librarian that hangs in the middle is not waited for longer."""
    parts = Parts()
    parts.hold = asyncio.Event()
    parts.aloud = ["half"]
    async with serve(parts, limits=RemoteLimits(answer_wait_s=0.2)) as line:
        with pytest.raises(ModelUnavailable, match=r"in 0\.2 s"):
            await RemoteLibrarian(line).answer_aloud(Question(text="?"), lambda _: None)

    assert len(parts.asked) == 1


async def test_explanations_and_summaries_cross_the_socket(serve) -> None:
    """Whole, and an unknown record is said to be unknown."""
    async with serve(Parts()) as line:
        remote = RemoteLibrarian(line)
        told = await remote.explain("0a")
        replayed = await remote.explain("0a", replay=True)
        summary = await remote.summarise([NumberedLine(7, "customer", "退款")], "zh")
        with pytest.raises(SourceUnknown):
            await remote.explain("0b")

    assert told == EXPLANATION
    assert replayed.replayed
    assert summary == Summary(wants=Point("退款", (7,)))


async def test_likeness_and_health_cross_the_socket(serve) -> None:
    """The other two verbs of the librarian."""
    async with serve(Parts()) as line:
        remote = RemoteLibrarian(line)
        scores = await remote.alike("a", ["a", "b"])
        health = await remote.health()

    assert scores == [1.0, 0.0]
    assert health.ready


@pytest.mark.parametrize(
    "error",
    [SourceUnreadable("too odd"), IndexUnavailable("gone"), ModelUnavailable("asleep")],
)
async def test_what_the_librarian_raises_arrives_as_itself(serve, error: Exception) -> None:
    """The caller can tell an unreadable document from a broken index."""
    async with serve(Parts(fails=error)) as line:
        with pytest.raises(type(error), match=str(error)):
            await RemoteKnowledge(line).add(Upload(name="a.md", content=b"a"))


async def test_an_unknown_version_is_unknown_on_this_side_too(serve) -> None:
    """404 comes out as SourceUnknown."""
    async with serve(Parts()) as line:
        with pytest.raises(SourceUnknown):
            await RemoteKnowledge(line).progress("nothing")


async def test_an_unforeseen_failure_tells_nothing_of_its_inside(serve) -> None:
    """The reason that crosses the socket is ours, not the text of some exception."""
    async with serve(Parts(fails=RuntimeError("the customer wrote X"))) as line:
        with pytest.raises(ModelUnavailable, match=r"^the librarian failed$"):
            await RemoteLibrarian(line).answer(Question(text="?"))


async def test_a_document_above_the_limit_is_refused_on_both_sides(serve) -> None:
    """The client refuses without sending it, the service if a client does not."""
    generous = RemoteLimits(upload_bytes_max=10_000)
    too_much = Upload(name="a.md", content=b"a" * 1_001)
    async with serve(Parts()) as line:
        with pytest.raises(SourceUnreadable, match="larger"):
            await RemoteKnowledge(line).add(too_much)
    async with serve(Parts(), limits=generous) as line:
        with pytest.raises(SourceUnreadable):
            await RemoteKnowledge(line).add(too_much)


async def test_while_models_load_questions_are_refused_at_once(serve) -> None:
    """Health says what it waits for; as soon as it is loaded it answers."""
    opened = asyncio.Event()
    async with serve(Parts(), opened) as line:
        remote = RemoteLibrarian(line)
        before = await remote.health()
        with pytest.raises(ModelUnavailable, match="loading"):
            await remote.answer(Question(text="?"))
        opened.set()
        while not (await remote.health()).ready:  # noqa: ASYNC110 - another process, in truth
            await asyncio.sleep(0.01)
        answer = await remote.answer(Question(text="?"))

    assert (before.ready, before.index) == (False, "loading")
    assert answer == ANSWER


async def test_a_librarian_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    """No socket, no waiting: the caller hands over to a person."""
    line = Line(tmp_path / "nobody", LIMITS)
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await RemoteLibrarian(line).answer(Question(text="?"))
    await line.close()


async def test_a_librarian_that_hangs_is_left_alone_after_a_few_tries(serve) -> None:
    """Two deadlines missed: the next call is refused without being sent."""
    parts = Parts()
    parts.hold = asyncio.Event()
    limits = RemoteLimits(answer_wait_s=0.05, breaker_failures=2)
    async with serve(parts, limits=limits) as line:
        remote = RemoteLibrarian(line)
        for _ in range(2):
            with pytest.raises(ModelUnavailable, match=r"in 0\.05 s"):
                await remote.answer(Question(text="?"))
        with pytest.raises(ModelUnavailable, match="not answering"):
            await remote.answer(Question(text="?"))
        parts.hold.set()

    assert len(parts.asked) == 2
