"""Who should answer next: the rules alone."""

import pytest

from gateway.handoff import (
    HandOffRules,
    Told,
    Words,
    after_answer,
    before_answer,
)
from rag.types import Reason
from tests.gateway.world import answered, declined, unsure, words

RULES = HandOffRules()
WORDS = words()


def asked(text: str, **more: object) -> bool:
    told = Told(text=text, **more)  # pyright: ignore[reportArgumentType]
    return before_answer(told, WORDS, RULES) is not None


@pytest.mark.parametrize(
    "text",
    ["Talk to a human", "I NEED A PERSON!", "agent please", "转人工", "请帮我轉人工", "我要真人"],
)
def test_words_for_a_person_are_understood(text: str) -> None:
    """In both languages, any case, with or without politeness."""
    assert asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "What does the agents' price list say?",
        "How do I hand a conversation back to the bot?",
        "Do you sell a personal organiser?",
        "人工智能是什么",
        "",
    ],
)
def test_words_that_only_look_alike_are_not(text: str) -> None:
    """Whole words count, and a topic is not a request."""
    assert not asked(text)


def test_a_button_is_enough() -> None:
    """No words are needed."""
    assert asked("", action="human")


@pytest.mark.parametrize(("minutes", "calls"), [(29.0, False), (31.0, True)])
def test_what_arrives_half_an_hour_late_goes_to_people(minutes: float, calls: bool) -> None:
    """A bot's reaction to something old would puzzle its reader."""
    assert asked("Where is it?", minutes_old=minutes) is calls


@pytest.mark.parametrize(("turns", "calls"), [(5, False), (6, True)])
def test_a_loop_of_two_bots_is_broken(turns: int, calls: bool) -> None:
    """Six bot turns in a minute call a person."""
    assert asked("Hello, I am a bot", bot_turns_last_minute=turns) is calls


def test_the_third_time_is_a_signal_with_its_number() -> None:
    """The agent reads how often."""
    told = Told(text="Where is my order?", alike=(0.9, 0.2, 0.95))
    why = before_answer(told, WORDS, RULES)

    assert why is not None
    assert why.signals[0].evidence == "3×"


@pytest.mark.parametrize(
    ("answer", "declines", "offers", "kind"),
    [
        (answered(), 0, 0, "say"),
        (declined(Reason.NOT_A_QUESTION), 5, 5, "courtesy"),
        (unsure("A?"), 0, 0, "offer"),
        (unsure("A?"), 0, 1, "decline"),
        (unsure("A?"), 1, 1, "hand_over"),
        (declined(), 0, 0, "decline"),
        (declined(), 1, 0, "hand_over"),
    ],
)
def test_what_the_bot_does_with_an_answer(
    answer: object, declines: int, offers: int, kind: str
) -> None:
    """Say it, offer once, decline once, then call a person."""
    reply = after_answer(answer, RULES, declines=declines, offers=offers)  # pyright: ignore[reportArgumentType]

    assert reply.kind == kind


def test_phrases_that_are_patterns_are_taken_literally() -> None:
    """An operator's words may hold dots and brackets."""
    odd = Words.from_lists(["a.b", "(x)"], [])

    assert odd.asks.search("say a.b now")
    assert not odd.asks.search("aXb")
    assert Words.from_lists([], []).asks.search("anything") is None
