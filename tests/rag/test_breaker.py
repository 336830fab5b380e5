"""A librarian that hangs is left alone for a while, then asked by one."""

from rag.client import Breaker, RemoteLimits

LIMITS = RemoteLimits(answer_wait_s=5, health_wait_s=5, breaker_failures=2, upload_bytes_max=1_000)


def test_after_a_pause_exactly_one_caller_may_try_again() -> None:
    """The others wait for its result; success closes the breaker."""
    now = [0.0]
    breaker = Breaker(LIMITS, lambda: now[0])
    breaker.failed()
    was_open = breaker.is_open
    breaker.failed()
    too_early = breaker.may_probe()
    now[0] = LIMITS.breaker_wait_s
    first, second = breaker.may_probe(), breaker.may_probe()

    assert (was_open, breaker.is_open, too_early, first, second) == (
        False,
        True,
        False,
        True,
        False,
    )
    breaker.succeeded()
    assert not breaker.is_open


def test_failures_far_apart_do_not_open_the_breaker() -> None:
    """Only failures within the window count."""
    now = [0.0]
    breaker = Breaker(LIMITS, lambda: now[0])
    breaker.failed()
    now[0] = LIMITS.breaker_window_s + 1
    breaker.failed()

    assert not breaker.is_open
