"""Addresses, origins, rates and seats: pure rules of the web chat's door."""

import pytest

from channels.web.admission import Rate, Seats, client_key, is_foreign
from channels.web.problems import KINDS, Problem, preferred


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "key"),
    [
        ("10.0.0.1", "", 0, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", 0, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", 1, "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", 1, "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", 2, "1.2.3.4"),
        ("10.0.0.1", "", 1, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", 9, "1.2.3.4"),
        ("10.0.0.1", "<script>", 1, "10.0.0.1"),
        ("::ffff:1.2.3.4", "", 0, "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
        (None, "", 0, "local"),
    ],
)
def test_a_client_is_counted_by_an_address_it_cannot_choose(
    peer: str | None, forwarded: str, trusted: int, key: str
):
    """Only what our own proxies wrote into X-Forwarded-For is believed."""
    assert client_key(peer, forwarded, trusted) == key


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("https://chat.example:8080", False),
        ("https://CHAT.example:8080", False),
        ("https://shop.example", False),
        ("https://shop.example.evil.test", True),
        ("https://evil.test", True),
        ("http://shop.example", True),
        ("https://chat.example", True),
        ("null", True),
        ("", True),
        ("file://", True),
        ("ftp://chat.example:8080", True),
        ("https://[", True),
    ],
)
def test_only_our_own_and_the_named_sites_may_come(origin: str, foreign: bool):
    """The comparison is of whole origins, never of a part of a name."""
    assert is_foreign(origin, "chat.example:8080", ["https://shop.example"]) is foreign


class Watch:
    """Seconds that are turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_holds_over_any_minute():
    """Twenty in any sixty seconds: no burst at the turn of a minute."""
    watch = Watch()
    rate = Rate(20, window_s=60, monotonic=watch)
    for _ in range(20):
        assert rate.take("ana") == 0
        watch.now += 1

    assert rate.take("ana") == pytest.approx(40)
    assert rate.take("ben") == 0
    watch.now += 40
    assert rate.take("ana") == 0
    assert rate.take("ana") > 0


def test_a_refusal_does_not_push_the_next_chance_away():
    """Somebody who keeps trying is let in as soon as somebody who waited."""
    watch = Watch()
    rate = Rate(1, window_s=60, monotonic=watch)
    rate.take("ana")
    for _ in range(10):
        watch.now += 5
        rate.take("ana")
    watch.now += 10

    assert rate.take("ana") == 0


def test_seats_are_free_again_when_left():
    """Twenty at once, not twenty ever."""
    seats = Seats(2)

    assert [seats.enter("a"), seats.enter("a"), seats.enter("a")] == [True, True, False]
    assert seats.enter("b") is True
    seats.leave("a")
    assert seats.enter("a") is True


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9", "en"),
        ("de,en;q=0.2,zh;q=0.7", "zh"),
        ("fr", None),
        ("", None),
        ("zh;q=oops", "zh"),
        (";;;,,,", None),
    ],
)
def test_the_reader_s_language_is_taken_from_the_header(header: str, language: str | None):
    """The weights are respected; what we do not speak is passed over."""
    assert preferred(header) == language


@pytest.mark.parametrize("name", KINDS)
def test_every_refusal_has_words_in_both_languages(name):
    """The same type, another text: no language lacks one, and no slot is left unfilled."""
    problem = Problem(name, {"why": "x", "incident": "y"}, wait_s=2)
    texts = [problem.body("en").detail, problem.body("zh").detail]

    assert texts[0] != texts[1]
    assert not any("{" in text for text in texts)
    assert problem.body("zh").type == f"urn:tandem:{name}"
