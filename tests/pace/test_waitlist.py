"""At a door of many keys each has its turn, in order, and none keeps another's room for long."""

from app.waitlist import OFFER_SECONDS, Waitlist


def listed(*keys: str) -> Waitlist:
    waitlist = Waitlist()
    for key in keys:
        waitlist.join(key)
    return waitlist


def test_room_goes_to_the_first_and_what_is_left_to_all_others() -> None:
    waitlist = listed("a", "b", "c")
    assert waitlist.share(2, 1.0) == ({"a": 1, "b": 1}, 0)
    assert waitlist.share(3, 1.0) == ({"a": 1, "b": 1, "c": 1}, 0)
    assert waitlist.share(5, 1.0) == ({"a": 1, "b": 1, "c": 1}, 2)
    assert listed().share(5, 1.0) == ({}, 5)
    assert waitlist.share(0, 1.0) == ({}, 0)


def test_who_found_a_turn_makes_room_for_the_next() -> None:
    waitlist = listed("a", "b", "c")
    waitlist.leave("a")
    waitlist.leave("nobody")
    assert waitlist.share(1, 1.0) == ({"b": 1}, 0)


def test_joining_twice_keeps_the_place_and_after_an_offer_it_is_the_last() -> None:
    waitlist = listed("a", "b", "a")
    assert waitlist.share(1, 1.0) == ({"a": 1}, 0)
    waitlist.join("a")
    assert waitlist.share(1, 1.0) == ({"b": 1}, 0)
    assert len(waitlist) == 2


def test_room_that_nobody_takes_is_offered_to_the_next() -> None:
    waitlist = listed("a", "b")
    assert waitlist.share(1, 1.0) == ({"a": 1}, 0)
    assert waitlist.share(1, 1.0 + OFFER_SECONDS) == ({"a": 1}, 0)
    assert waitlist.share(1, 1.1 + OFFER_SECONDS) == ({"b": 1}, 0)
    assert waitlist.share(1, 2.0 + 2 * OFFER_SECONDS) == ({}, 1)
    assert len(waitlist) == 0
