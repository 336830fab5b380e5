"""The strict reader: refuses what parsers disagree about, quickly, and nothing else."""

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.web.strict_json import DEPTH_MAX, NUMBER_CHARS_MAX, PIECES_MAX, BadJson, read_json
from storage.text import UnstorableText

BODY_BYTES = 524_288

HOSTILE = {
    "100,000 deep": b"[" * 100_000,
    "65 deep": b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1),
    "65 deep in objects": b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1),
    "wide": b"[" + b"1," * PIECES_MAX + b"1]",
    "huge and wide": b"[" + b"{}," * (BODY_BYTES // 3 - 2) + b"{}]",
    "not UTF-8": b'{"text": "\xff\xfe"}',
    "a surrogate in UTF-8": b'{"text": "\xed\xa0\x80"}',
    "UTF-16": '{"text": "hi"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"n": NaN}',
    "Infinity": b'{"n": -Infinity}',
    "a number beyond all": b'{"n": 1e999}',
    "5,000 digits": b'{"n": ' + b"9" * 5_000 + b"}",
    "5,000 digits after the point": b'{"n": 0.' + b"1" * 5_000 + b"}",
    "a key twice": b'{"text": "a", "text": "b"}',
    "a key twice, written differently": b'{"a": 1, "\\u0061": 2}',
    "nothing": b"",
    "two values": b"{} {}",
    "a comment": b"{} // hello",
    "a comma too much": b'{"a": 1,}',
    "a raw line end in a string": b'"a\nb"',
    "an unterminated string of quotes": b'"' + b'\\"' * (BODY_BYTES // 2 - 1),
    "an unterminated string of backslashes": b'"' + b"\\" * (BODY_BYTES - 2),
    "many opened strings": b'"a' * (BODY_BYTES // 2),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_is_refused_and_costs_little(body: bytes):
    """Each case is refused with a reason, in less than 50 ms of this thread's time."""
    begun = time.thread_time()
    with pytest.raises(BadJson) as caught:
        read_json(body)
    spent = time.thread_time() - begun

    assert str(caught.value)
    assert spent < 0.05


def test_what_just_fits_is_read():
    """The limits themselves are allowed."""
    deep = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    number = b"9" * NUMBER_CHARS_MAX
    wide = b"[" + b"1," * (PIECES_MAX - 2) + b"1]"

    assert read_json(deep) is not None
    assert read_json(number) == int(number)
    assert len(read_json(wide)) == PIECES_MAX - 1


def test_brackets_inside_a_text_are_only_text():
    """Somebody may well paste code, or ten thousand commas."""
    text = '[{"' * 10_000 + "," * 10_000 + '\\"'

    assert read_json(json.dumps({"text": text}).encode()) == {"text": text}


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\uDC00": 1}', r'["\udc00\ud800"]'])
def test_half_a_pair_is_told_apart_from_bad_json(text: str):
    """It is JSON, but no text: the client is told which of its texts is at fault."""
    with pytest.raises(UnstorableText):
        read_json(text.encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=30)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_honest_json_is_read_as_it_was_written(value: object):
    """Whatever the standard writer makes of plain values comes back equal."""
    again = read_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))

    assert again == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes):
    """Nothing but BadJson ever comes out, and what is read has no NaN in it."""
    try:
        value = read_json(body)
    except (BadJson, UnstorableText):
        return

    assert not (isinstance(value, float) and math.isnan(value))
