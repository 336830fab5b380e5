"""Identifiers, times and texts."""

import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from storage.columns import UtcDateTime, table_name
from storage.ids import new_id
from storage.text import UnstorableText, clean_text, repair_text, without_hidden


def test_ids_are_uuid7_and_sort_by_the_order_they_were_made_in() -> None:
    """Ten thousand in a row are distinct, rising, and valid."""
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}


@given(st.text())
def test_a_repaired_text_can_always_be_stored(text: str) -> None:
    """Whatever comes from a file is storable, and repairing twice changes nothing."""
    repaired = repair_text(text)

    assert clean_text(repaired) == repaired
    repaired.encode()


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800", "x\udfffy"])
def test_text_that_no_person_typed_is_refused(bad: str) -> None:
    """NUL and lone surrogates raise; their sender is told."""
    with pytest.raises(UnstorableText):
        clean_text(bad)


def test_composed_and_decomposed_letters_are_the_same_text() -> None:
    """Two ways to write é become one."""
    assert clean_text("e\u0301") == clean_text("\u00e9") == "é"


def test_hidden_characters_are_kept_for_people_and_taken_from_the_model() -> None:
    """Zero-width and tag characters can carry orders."""
    sneaky = "hel\u200blo\U000e0041"

    assert clean_text(sneaky) == sneaky
    assert without_hidden(sneaky) == "hello"


def test_a_naive_time_is_refused() -> None:
    """A time without a zone is a mistake of ours."""
    with pytest.raises(ValueError, match="naive"):
        UtcDateTime().process_bind_param(dt.datetime(2026, 1, 1), sqlite.dialect())


def test_table_names_follow_class_names() -> None:
    """`InboxEvent` is `inbox_event`."""
    assert table_name("InboxEvent") == "inbox_event"
