"""Identifiers: UUIDv7 strings, so that a primary key sorts by the time it was made."""

import datetime as dt
import os
import struct
import threading
import time

_lock = threading.Lock()
_last_ns = 0
_spare: list[int] = []  # random bits fetched ahead: each call of the system lets other threads in
os.register_at_fork(after_in_child=_spare.clear)


def new_id() -> str:
    """A UUIDv7 (RFC 9562 §5.7) that is greater than every earlier one of this process.

    Layout: 48 bits of milliseconds, 12 bits of the millisecond's fraction, 62 random bits.
    The standard library has `uuid.uuid7` from Python 3.14 on.
    """
    global _last_ns
    with _lock:
        # 244 ns is the step of the 12-bit fraction (1 ms / 4096): each id gets its own.
        _last_ns = max(time.time_ns(), _last_ns + 245)
        now_ns = _last_ns
        if not _spare:
            _spare.extend(struct.unpack("512Q", os.urandom(4096)))
        random_bits = _spare.pop() & ((1 << 62) - 1)
    millis, rest_ns = divmod(now_ns, 1_000_000)
    fraction = rest_ns * 4096 // 1_000_000
    number = millis << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random_bits
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def utc_now() -> dt.datetime:
    """The wall clock as an aware time. The only implementation of the `Clock` port that ticks."""
    return dt.datetime.now(dt.UTC)
