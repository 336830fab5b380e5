"""Which language a line is in, which terms it has, and whether it asks anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.language import content_terms, detect, fold, overlap, stem, tokens
from rag.turns import classify_turn, looks_asking


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I hand a conversation back?", "en"),
        ("如何转人工?", "zh"),
        ("iPhone 15 Pro Max 价格", "zh"),
        ("Tandem 的 Slack inbox 怎么用", "zh"),
        ("What does 人工 mean?", "en"),
        ("12345", "en"),
        ("", "en"),
    ],
)
def test_a_line_is_answered_in_the_language_it_is_written_in(text: str, language: str) -> None:
    """A foreign name does not change a line's language; no letters at all count as English."""
    assert detect(text) == language


def test_japanese_is_not_taken_for_chinese() -> None:
    """Kanji beside kana are no reason to answer in Chinese."""
    assert detect("返品したいのですが、どうすればいいですか") == "en"


def test_traditional_and_full_width_writing_find_the_same() -> None:
    """Both sides of a search are folded to one spelling."""
    assert fold("轉人工 ＡＢＣ１") == "转人工 abc1"
    assert tokens("轉人工") == tokens("转人工")


def test_chinese_is_cut_into_characters_and_pairs() -> None:
    """No dictionary is needed to find a word inside a sentence."""
    assert tokens("转人工") == ["转", "转人", "人", "人工", "工"]


def test_codes_and_numbers_stay_whole() -> None:
    """A product code is found by itself, and by its parts."""
    found = tokens("The QR-3200X runs v2.1 with C++ and costs 3.5")

    assert {"qr-3200x", "v2.1", "c++", "3.5"} <= set(found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("conversation", "conversations"),
        ("stopped", "stopping"),
        ("configure", "configured"),
        ("reply", "replies"),
        ("Wi-Fi", "wifi"),
        ("agent's", "agents"),
    ],
)
def test_forms_of_a_word_share_a_term(one: str, other: str) -> None:
    """Inflection must not hide a passage."""
    assert set(tokens(one)) & set(tokens(other))


def test_short_words_keep_their_letters() -> None:
    """A light stem does not turn one short word into another."""
    assert [stem(word) for word in ("bus", "news", "this", "red")] == ["bus", "new", "this", "red"]


def test_a_chinese_question_is_cut_at_its_question_words() -> None:
    """No pair of characters spans "how" or "one of": such pairs are no words."""
    assert content_terms("如何删除一个文档") == ["删除", "文档"]
    assert content_terms("怎么添加客服") == content_terms("添加客服")


def test_stop_words_are_no_content() -> None:
    """What every question says tells questions apart badly."""
    assert content_terms("How do I hand it back to the bot?") == ["hand", "back", "bot"]


@given(st.text())
def test_any_text_can_be_cut(text: str) -> None:
    """Terms are never empty, and content is part of what is there."""
    found = tokens(text)

    assert all(found)
    assert all(not term.isspace() for term in content_terms(text))
    assert detect(text) in ("en", "zh")


@given(st.text(max_size=60), st.text(max_size=60))
def test_overlap_is_a_share_and_looks_the_same_from_both_sides(one: str, other: str) -> None:
    """The likeness of two texts is symmetric and lies between 0 and 1."""
    assert 0 <= overlap(one, other) <= 1
    assert overlap(one, other) == overlap(other, one)


@given(st.text(min_size=1, max_size=60))
def test_a_text_is_most_like_itself(text: str) -> None:
    """Nothing is more alike than the same text again."""
    assert overlap(text, text) == 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Thanks!", "thanks"),
        ("ok thanks, bye", "thanks"),
        ("Thank you so much for your help!", "thanks"),
        ("好的，谢谢", "thanks"),
        ("辛苦了", "thanks"),
        ("Hello there", "greeting"),
        ("你好，在吗", "greeting"),
        ("How are you?", "small_talk"),
        ("嗯嗯，明白了", "small_talk"),
        ("👍", "small_talk"),
        ("???", "small_talk"),
        ("Hi, where is my order?", "question"),
        ("你好，怎么退款", "question"),
        ("对不起我要退款", "question"),
        ("早点关门吗", "question"),
        ("can you help", "question"),
        ("thanksgiving opening hours", "question"),
        ("no delivery came", "question"),
    ],
)
def test_courtesy_is_told_from_questions(text: str, kind: str) -> None:
    """Only a line that is wholly courtesy is not searched for."""
    assert classify_turn(text) == kind


@given(st.text(max_size=200))
def test_any_line_is_something(text: str) -> None:
    """The classifier ends and decides for every text."""
    assert classify_turn(text) in ("question", "thanks", "greeting", "small_talk")


def test_the_form_of_a_question_is_seen_in_both_languages() -> None:
    """A question mark is not needed."""
    assert looks_asking("where is it")
    assert looks_asking("在哪里")
    assert not looks_asking("I want a refund")
