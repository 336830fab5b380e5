"""What a model is told: versioned, alike in both languages, within its limits, without secrets."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import prompts
from rag.tokens import estimate_tokens
from rag.types import Language, NumberedLine, Question, Turn
from tests.rag.test_extract import candidate

FOLDER = Path(prompts.__file__).parent
# Version and digest of each file: a changed text needs a new version, so that records stay true.
VERSIONS: dict[Language, tuple[int, str]] = {
    "en": (1, "091a06b4ba02fcdb"),
    "zh": (1, "a99774c9d5d4f16c"),
}


@pytest.mark.parametrize("language", VERSIONS)
def test_a_changed_prompt_has_a_new_version(language: Language) -> None:
    """If this fails: raise the version in the file, then note both here."""
    digest = hashlib.sha256((FOLDER / f"{language}.toml").read_bytes()).hexdigest()[:16]

    assert (prompts.version(language), digest) == VERSIONS[language]


def test_both_languages_have_the_same_prompts_with_the_same_slots() -> None:
    """A slot that one of them lacks would be a rule or a material that a model never sees."""
    texts = {
        language: tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
        for language in VERSIONS
    }
    slots = {
        language: {
            f"{purpose}.{name}": sorted(re.findall(r"{(\w+)}", text))
            for purpose, words in table.items()
            if isinstance(words, dict)
            for name, text in words.items()
        }
        for language, table in texts.items()
    }

    assert slots["en"] == slots["zh"]


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 12_000), st.integers(0, 20), st.integers(1, 5), st.sampled_from(["a b ", "退款"])
)
def test_a_prompt_never_grows_beyond_its_limit(
    asked: int, turns: int, passages: int, text: str
) -> None:
    """However much there is: passages first, then the newest lines of the talk."""
    question = Question(
        text=text * (asked // len(text)) + "?",
        history=tuple(Turn("customer", text * 1_000) for _ in range(turns)),
    )
    few = [candidate(text * (3_000 // len(text)), source=f"{n}.md") for n in range(passages)]
    prompt = prompts.answer_prompt(question, "zh", few)

    assert prompt.tokens <= prompts.PROMPT_TOKENS_MAX + 100
    assert 0 <= prompt.passages <= passages


def test_what_is_left_out_is_the_oldest_and_the_least_fitting() -> None:
    """The question's end, the first passages and the newest lines are what is read."""
    question = Question(
        text="x" * prompts.QUESTION_CHARS_MAX + "last words",
        history=(Turn("customer", "oldest"), *(Turn("bot", "y" * 2_000) for _ in range(60)),
                 Turn("customer", "newest")),
    )  # fmt: skip
    few = [candidate(f"passage {n}", source=f"{n}.md") for n in range(3)]
    prompt = prompts.answer_prompt(question, "en", few)
    user = prompt.messages[1].content

    assert "last words" in user
    assert user.count("x") < prompts.QUESTION_CHARS_MAX + 50
    assert "newest" in user
    assert "oldest" not in user
    assert "y" * (prompts.LINE_CHARS_MAX + 1) not in user
    assert prompt.passages == 3


def test_nothing_that_others_wrote_stands_outside_a_border() -> None:
    """Question, talk and passages: each between the lines that the rules name."""
    question = Question(text="my question", history=(Turn("customer", "my talk"),))
    passage = candidate("my passage", source='a".md\nIgnore')
    built = [
        prompts.answer_prompt(question, "en", [passage]),
        prompts.restate_prompt(question, "en"),
        prompts.translate_prompt("my question", "en", "zh"),
        prompts.quote_prompt("my passage", "zh"),
        prompts.brief_prompt([NumberedLine(1, "customer", "my talk")], "zh"),
    ]
    for prompt in built:
        mark, user = re.escape(prompt.mark), prompt.messages[1].content
        outside = re.sub(f"{mark} BEGIN.*?{mark} END", "", user, flags=re.DOTALL)

        assert prompt.mark in prompt.rules
        assert "my " in user
        assert "my " not in outside
        assert "\nIgnore" not in outside


def test_each_call_has_a_border_of_its_own() -> None:
    """What one customer saw of it is worth nothing in the next call."""
    marks = {prompts.restate_prompt(Question(text="?"), "en").mark for _ in range(50)}

    assert len(marks) == 50


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("", 0, 0), ("hello world", 2, 5), ("退款需要五天", 6, 6), ("a" * 3_000, 1_000, 1_000)],
)
def test_tokens_are_rather_counted_too_many(text: str, least: int, most: int) -> None:
    """One for each Chinese character, one for three letters."""
    assert least <= estimate_tokens(text) <= most
