"""Teams take turns; slow ones leave lanes to the others."""

from uuid import UUID

from services.channel_gateway.worker.turns import LANES_MAX, SLOW_MAX, WORKING_MAX, Turns


def teams(first: int, count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(first, first + count)]


def taken(turns: Turns) -> list[UUID]:
    found = []
    while (team := turns.take()) is not None:
        found.append(team)
    return found


def test_teams_take_turns_in_the_order_of_their_coming() -> None:
    turns = Turns()
    first, second, third = teams(1, 3)
    turns.offer([first, second])
    assert turns.take() == first
    turns.offer([first, second, third])
    turns.ended(first, again=True)
    assert taken(turns) == [second, third, first]
    assert turns.waiting_count == 0


def test_a_team_is_at_work_once_at_a_time() -> None:
    turns = Turns()
    turns.offer(teams(1, 1))
    assert taken(turns) == teams(1, 1)
    turns.offer(teams(1, 1))
    assert taken(turns) == []


def test_a_team_without_work_is_forgotten_until_it_is_offered_again() -> None:
    turns = Turns()
    turns.offer(teams(1, 1))
    (team,) = taken(turns)
    turns.ended(team, again=False)
    assert taken(turns) == []
    turns.offer([team])
    assert taken(turns) == [team]


def test_slow_teams_leave_their_lanes_to_the_others_and_share_few_the_next_time() -> None:
    turns = Turns()
    slow, others = teams(1, LANES_MAX), teams(100, 3)
    turns.offer(slow + others)
    assert taken(turns) == slow
    assert all(turns.found_slow(team) for team in slow)
    assert not turns.found_slow(slow[0]), "known already"
    assert taken(turns) == others
    for team in slow:
        turns.ended(team, again=True)
    turns.offer(teams(200, LANES_MAX))
    again = taken(turns)
    assert [team for team in again if team in slow] == slow[:SLOW_MAX]
    assert len(again) == LANES_MAX - len(others) + SLOW_MAX


def test_however_many_turn_out_to_be_slow_the_work_in_hand_is_bounded() -> None:
    turns = Turns()
    turns.offer(teams(1, 10 * WORKING_MAX))
    while found := taken(turns):
        for team in found:
            turns.found_slow(team)
    assert len(turns.working) == WORKING_MAX
    for team in list(turns.working):
        turns.ended(team, again=True)
    assert len(taken(turns)) == LANES_MAX + SLOW_MAX
