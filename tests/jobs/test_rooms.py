"""Room at a crowded host goes round: to the workspace with the fewest checks there, then to the request."""

from uuid import UUID

from jobs.rooms import Rooms

HUGE, SMALL, THIRD = (UUID(int=number) for number in (1, 2, 3))
OURS, THEIRS = UUID(int=11), UUID(int=12)


def test_who_waits_for_nothing_has_all_the_room_and_one_to_spare() -> None:
    rooms = Rooms()
    rooms.wait(SMALL, OURS, ["other.example"])
    assert rooms.share(HUGE, THEIRS, {"a.example": 3, "other.example": 0}, 10) == {"a.example": 4, "other.example": 0}


def test_checks_on_their_way_have_taken_room_until_they_arrive() -> None:
    rooms = Rooms()
    for _ in range(4):
        rooms.begin(HUGE, OURS, "a.example")
    rooms.begin(HUGE, OURS, "new.example")
    assert rooms.share(HUGE, OURS, {"a.example": 3}, 10) == {"a.example": 0, "new.example": 10}
    assert rooms.share(SMALL, THEIRS, {"a.example": 9}, 10)["a.example"] == 6
    rooms.arrive("a.example")
    assert rooms.share(HUGE, OURS, {"a.example": 3}, 10)["a.example"] == 1


def test_room_is_kept_for_a_workspace_that_has_fewer_checks_there() -> None:
    rooms = Rooms()
    for _ in range(3):
        rooms.begin(HUGE, THEIRS, "a.example")
        rooms.arrive("a.example")
    rooms.wait(SMALL, OURS, ["a.example"])
    assert rooms.share(HUGE, THEIRS, {"a.example": 1}, 10)["a.example"] == 0
    assert rooms.share(HUGE, THEIRS, {"a.example": 3}, 10)["a.example"] == 2
    assert rooms.share(HUGE, THEIRS, {}, 10)["a.example"] == 9
    assert rooms.share(SMALL, OURS, {"a.example": 1}, 10)["a.example"] == 1
    assert rooms.share(SMALL, OURS, {"a.example": 2}, 10)["a.example"] == 3
    assert rooms.next_at("a.example", 1) == [SMALL]
    assert rooms.next_at("a.example", 0) == []
    rooms.leave(SMALL)
    assert rooms.share(HUGE, THEIRS, {"a.example": 1}, 10) == {"a.example": 1}
    assert rooms.next_at("a.example", 1) == []


def test_who_has_as_many_there_takes_turns() -> None:
    rooms = Rooms()
    for request_id, workspace_id in ((HUGE, THEIRS), (SMALL, OURS)):
        rooms.begin(request_id, workspace_id, "a.example")
        rooms.wait(request_id, workspace_id, ["a.example"])
    assert rooms.next_at("a.example", 5) == [HUGE, SMALL]
    rooms.leave(HUGE)
    rooms.begin(HUGE, THEIRS, "a.example")
    rooms.wait(HUGE, THEIRS, ["a.example"])
    assert rooms.next_at("a.example", 5) == [SMALL, HUGE]
    rooms.end(HUGE, THEIRS, "a.example")
    rooms.wait(HUGE, THEIRS, ["a.example"])  # it looks again, and keeps its place
    rooms.wait(SMALL, OURS, ["a.example"])
    assert rooms.next_at("a.example", 5) == [SMALL, HUGE]


def test_within_a_workspace_requests_are_served_alike() -> None:
    rooms = Rooms()
    rooms.begin(HUGE, OURS, "a.example")
    rooms.begin(THIRD, THEIRS, "a.example")
    rooms.wait(HUGE, OURS, ["a.example"])
    rooms.wait(THIRD, THEIRS, ["a.example"])
    rooms.wait(SMALL, OURS, ["a.example", "b.example"])
    assert rooms.next_at("a.example", 5) == [SMALL, HUGE, THIRD]
    assert rooms.share(HUGE, OURS, {"a.example": 1}, 10)["a.example"] == 0


def test_nothing_is_left_of_who_came_and_went() -> None:
    rooms = Rooms()
    rooms.begin(HUGE, OURS, "a.example")
    rooms.wait(HUGE, OURS, ["a.example", "b.example"])
    rooms.arrive("a.example")
    rooms.end(HUGE, OURS, "a.example")
    rooms.leave(HUGE)
    rooms.leave(HUGE)
    empty = Rooms()
    empty._next_place = rooms._next_place
    assert vars(rooms) == vars(empty)
