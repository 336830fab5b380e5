"""The brief: what an agent knows before saying a word, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_inbox.brief import TEXT_MAX, Profile, Spoken, make_brief, mentions_in
from gateway.handoff import Signal

PROFILE = Profile(name="", language="en", channel="web")


def said(seq: int, text: str, action: str | None = None) -> Spoken:
    return Spoken(seq=seq, author="customer", text=text, action=action)


def bot(seq: int, text: str, kind: str, *sources: str) -> Spoken:
    return Spoken(seq=seq, author="bot", text=text, reply_kind=kind, sources=sources)


def brief_of(*lines: Spoken, reasons: tuple[Signal, ...] = ()):
    return make_brief(lines, reasons, PROFILE)


@pytest.mark.parametrize(
    ("question", "asking"),
    [
        ("My parcel never came.", "a person, please"),
        ("我的包裹一直没到。", "请转人工"),
    ],
)
def test_the_wish_is_the_question_and_not_the_call_for_a_person(question: str, asking: str):
    """Words that only ask for a person say nothing of what is wanted."""
    word = "a person" if "person" in asking else "转人工"

    brief = brief_of(
        said(1, question), bot(2, "I do not know.", "decline"), said(3, asking),
        reasons=(Signal("asked", word),),
    )  # fmt: skip

    assert [quote.text for quote in brief.wants] == [question]


@pytest.mark.parametrize("asking", ["a person, please", "转人工"])
def test_somebody_who_only_asked_for_a_person_is_quoted_anyway(asking: str):
    """With nothing else said, the call itself is shown rather than an empty box."""
    brief = brief_of(said(1, asking), reasons=(Signal("asked", asking.split(",", maxsplit=1)[0]),))

    assert [quote.text for quote in brief.wants] == [asking]


def test_a_refusal_settles_nothing_but_an_answer_does():
    """What came before a good answer is settled; what a refusal met is still wanted."""
    brief = brief_of(
        said(1, "How long is shipping?"),
        bot(2, "Two days [1].", "say", "Shipping"),
        said(3, "And to the islands?"),
        bot(4, "I could not find that.", "decline"),
        said(5, "It is about the Azores."),
    )

    assert [quote.seq for quote in brief.wants] == [3, 5]


def test_a_question_whose_answer_did_not_help_is_what_they_want():
    """Nothing was asked after the answer: the answer was not what was needed."""
    brief = brief_of(
        said(1, "How long is shipping?"),
        bot(2, "Two days [1].", "say", "Shipping"),
        said(3, "Not helpful", action="not_helpful"),
    )

    assert [quote.seq for quote in brief.wants] == [1]


def test_what_the_bot_tried_comes_with_its_sources_and_the_verdict():
    """The agent sees what the customer has read already, and that it did not help."""
    brief = brief_of(
        said(1, "退款要多久？"),
        bot(2, "三十天内可以退款 [1]。", "say", "退款说明"),
        said(3, "没有帮助", action="not_helpful"),
        bot(4, "没有找到。", "decline"),
    )

    assert [(one.kind, one.sources, one.helpful) for one in brief.tried] == [
        ("say", ("退款说明",), False),
        ("decline", (), None),
    ]


def test_a_chosen_suggestion_counts_as_words():
    """Pressing "did you mean" says what is wanted as clearly as typing it."""
    brief = brief_of(
        said(1, "shoes"), bot(2, "Did you mean:", "offer"), said(3, "Return shoes", "choose-1")
    )

    assert [quote.text for quote in brief.wants] == ["shoes", "Return shoes"]


def test_an_agents_words_are_nobodys_attempt_and_end_the_older_wish():
    """After a person answered, only what was said since is open."""
    brief = brief_of(
        said(1, "Where is it?"),
        Spoken(seq=2, author="agent", text="On its way."),
        said(3, "And the invoice?"),
    )

    assert [quote.seq for quote in brief.wants] == [3]
    assert brief.tried == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "order #A-20391 for mia@example.org",
            [("code", "#A-20391"), ("email", "mia@example.org")],
        ),
        (
            "订单号20240517-883，电话13812345678。",
            [("code", "20240517-883"), ("phone", "13812345678")],
        ),
        ("I paid €89.90 or 1,200 EUR", [("amount", "€89.90"), ("amount", "1,200 EUR")]),
        ("付了 1299元", [("amount", "1299元")]),
        ("call +49 170 1234567", [("phone", "+49 170 1234567")]),
        ("in 2 days at 10:30", []),
        ("发到wang.li@example.cn谢谢", [("email", "wang.li@example.cn")]),
    ],
)
def test_exact_things_are_found_where_they_stand(text: str, found: list[tuple[str, str]]):
    """Numbers, codes and addresses are kept so that nobody asks for them twice."""
    assert [(one.kind, one.text) for one in mentions_in(text)] == found


def test_a_thing_named_twice_is_listed_once():
    """The same order number in two lines is one fact."""
    brief = brief_of(said(1, "order A-20391"), said(2, "A-20391, I said"))

    assert [(one.text, one.seq) for one in brief.mentions] == [("A-20391", 1)]


def test_a_flood_of_words_is_cut_for_the_card():
    """A quote is short; the whole is in the transcript."""
    brief = brief_of(said(1, "x" * 5_000))

    assert len(brief.wants[0].text) == TEXT_MAX


@given(st.lists(st.tuples(st.sampled_from(["customer", "bot", "agent", "system"]), st.text())))
def test_a_brief_can_be_made_of_anything(talk: list[tuple[str, str]]):
    """Whatever was said, the brief points to lines that exist and holds plain data."""
    lines = [
        Spoken(seq=at + 1, author=author, text=text)  # pyright: ignore[reportArgumentType]
        for at, (author, text) in enumerate(talk)
    ]

    brief = make_brief(lines, (Signal("asked", "x"),), PROFILE)

    own = {line.seq for line in lines if line.author == "customer"}
    assert {quote.seq for quote in (*brief.wants, *brief.recent)} <= own
    assert brief.as_data()["profile"]["channel"] == "web"
