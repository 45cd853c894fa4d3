"""How far a drain looks: near while that is enough, far when it is not, at the front once in a while."""

from jobs.looks import FAR, FAR_SECONDS, FRONT_SECONDS, NEAR, REST_SECONDS, Looks


def look(looks: Looks) -> tuple[int, int]:
    return looks.from_row, looks.scan_factor


def test_the_first_look_sees_all_there_is() -> None:
    looks = Looks()
    assert looks.is_whole
    assert look(looks) == (1, FAR)


def test_who_finds_enough_looks_near_from_the_first_queued_row_on() -> None:
    looks = Looks()
    looks.note(25, 25, 1, 10.0)
    assert look(looks) == (1, NEAR)
    looks.note(25, 25, 26, 10.1)
    assert look(looks) == (26, NEAR)
    assert not looks.is_whole


def test_what_brought_too_little_near_is_looked_for_far_as_long_as_that_brings_enough() -> None:
    looks = Looks()
    for _ in range(3):
        looks.note(25, 25, 7, 10.0)
        assert look(looks) == (7, NEAR)
        looks.note(25, 3, 7, 10.0)
        assert look(looks) == (7, FAR)


def test_a_far_look_that_brought_too_little_is_not_made_again_at_once() -> None:
    looks = Looks()
    looks.note(25, 10, 7, 10.0)
    assert look(looks) == (7, NEAR)
    looks.note(25, 10, 17, 10.0 + FAR_SECONDS / 2)
    assert look(looks) == (17, NEAR)
    looks.note(25, 10, 27, 10.0 + FAR_SECONDS)
    assert look(looks) == (27, FAR)


def test_rows_that_come_back_at_the_front_are_seen_soon() -> None:
    looks = Looks()
    looks.note(25, 25, 7, 10.0)
    looks.note(25, 25, 57, 10.0 + FRONT_SECONDS * 0.9)
    assert look(looks) == (57, NEAR)
    looks.note(25, 25, 82, 10.0 + FRONT_SECONDS)
    assert look(looks) == (1, NEAR)
    looks.note(25, 25, 57, 10.0 + FRONT_SECONDS)
    assert look(looks) == (57, NEAR)


def test_only_a_whole_look_that_brings_nothing_means_that_there_is_nothing() -> None:
    looks = Looks()
    looks.note(25, 10, 7, 10.0)
    looks.note(25, 0, 7, 10.0)
    assert looks.is_whole
    looks.note(25, 0, 1, 10.0)
    assert looks.is_whole


def test_a_whole_look_that_brought_nothing_is_believed_for_a_second() -> None:
    looks = Looks()
    looks.note(25, 25, 1, 10.0)
    looks.note(25, 0, 1, 10.0)
    assert (looks.is_barren, looks.is_resting(10.0)) == (False, False)  # that look was near
    looks.note(25, 0, 1, 10.0)
    assert (looks.is_barren, looks.is_resting(10.0)) == (True, True)
    looks.note(25, 1, 7, 10.5)  # a host had room again; the others are as they were
    assert (looks.is_barren, looks.is_resting(10.5)) == (False, True)
    assert not looks.is_resting(10.0 + REST_SECONDS)
