"""The queue before the model: batches within their budget, bounded, in time, and each row told its own answer."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from underlay.serve.batching import Batcher, Pace, Row
from underlay.serve.limits import Limits
from underlay.serve.refusals import Refusal


def row(number: int, *, positions: int = 10, seconds: float = 30.0) -> Row:
    loop = asyncio.get_running_loop()
    return Row(
        {"n": number}, {"n": {"n": np.array(number)}}, positions, time.monotonic() + seconds, loop.create_future()
    )


def double(rows: Any) -> list[Any]:
    return [{"n": 2 * values["n"]} for values, _ in rows]


class Kept:
    """A model that remembers its batches, and waits if it is told to."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self.seconds = seconds

    def __call__(self, rows: Any) -> list[Any]:
        self.batches.append([values["n"] for values, _ in rows])
        time.sleep(self.seconds)
        return double(rows)


def with_batcher(work: Callable[[Batcher], Any], model: Any = double, *, rate: float = 1e6, **limits: Any) -> Any:
    async def inside() -> Any:
        batcher = Batcher(model, limits=Limits(**limits), pace=Pace(rate, 10.0))
        batcher.start()
        try:
            return await asyncio.wait_for(work(batcher), 60)
        finally:
            await batcher.stop()

    return asyncio.run(inside())


@pytest.mark.row("F15")
def test_thousands_of_rows_at_once_are_each_told_their_own_answer():
    async def work(batcher: Batcher) -> None:
        rng = random.Random(0)

        async def ask(numbers: list[int]) -> None:
            await asyncio.sleep(rng.random() / 10)
            rows = [row(number, positions=rng.randint(1, 500)) for number in numbers]
            batcher.submit(rows)
            told = await asyncio.gather(*(one.answer for one in rows))
            assert [answer["n"] for answer in told] == [2 * number for number in numbers]

        numbers = iter(range(100_000))
        await asyncio.gather(*(ask([next(numbers) for _ in range(rng.randint(1, 64))]) for _ in range(400)))

    model = Kept()
    with_batcher(work, model, batch_wait_seconds=0.0005)
    assert max(map(len, model.batches)) > 1


def test_a_batch_stays_within_its_positions_and_its_rows_and_keeps_their_order():
    async def work(batcher: Batcher) -> None:
        rows = [row(number, positions=[10, 60, 90][number % 3]) for number in range(30)]
        batcher.submit(rows)
        await asyncio.gather(*(one.answer for one in rows))

    model = Kept()
    with_batcher(work, model, batch_positions=100, batch_rows=4)
    assert [number for batch in model.batches for number in batch] == list(range(30))
    sizes = [sum([10, 60, 90][number % 3] for number in batch) for batch in model.batches]
    assert max(sizes) <= 100
    assert max(map(len, model.batches)) > 1


def test_a_row_larger_than_the_budget_goes_alone():
    async def work(batcher: Batcher) -> None:
        rows = [row(number, positions=1_000) for number in range(3)]
        batcher.submit(rows)
        await asyncio.gather(*(one.answer for one in rows))

    model = Kept()
    with_batcher(work, model, batch_positions=100)
    assert model.batches == [[0], [1], [2]]


def test_a_lone_row_waits_for_others_no_longer_than_it_may():
    async def work(batcher: Batcher) -> float:
        started = time.monotonic()
        one = row(1)
        batcher.submit([one])
        await one.answer
        return time.monotonic() - started

    assert with_batcher(work, batch_wait_seconds=0.2) >= 0.2
    assert with_batcher(work, batch_wait_seconds=0.2, batch_rows=1) < 0.2


def test_a_row_whose_time_is_up_or_whose_sender_left_never_reaches_the_model():
    async def work(batcher: Batcher) -> None:
        first = row(1)
        batcher.submit([first])
        await asyncio.sleep(0.1)
        late, left, good = row(2, seconds=0.05), row(3), row(4)
        batcher.submit([late, left, good])
        left.answer.cancel()
        assert (await good.answer) == {"n": 8}
        assert not late.answer.done()

    model = Kept(0.3)
    with_batcher(work, model)
    assert model.batches == [[1], [4]]


def test_what_would_wait_too_long_is_refused_with_a_time_to_come_back():
    async def work(batcher: Batcher) -> None:
        soon = time.monotonic() + 60
        for _ in range(8):
            batcher.admit(1, deadline=soon)
        with pytest.raises(Refusal) as found:
            batcher.admit(1, deadline=soon)
        assert (found.value.status, found.value.code) == (503, "overloaded")
        # 8 rows of 10 positions at 4 a second: 20 s, give or take a fifth.
        assert 16 <= int(found.value.headers["retry-after"]) <= 24
        batcher.withdraw(4)
        batcher.admit(1, deadline=soon)

    with_batcher(work, rate=4.0)


def test_a_deadline_that_cannot_be_met_is_refused_at_once():
    async def work(batcher: Batcher) -> None:
        batcher.admit(4, deadline=time.monotonic() + 60)
        with pytest.raises(Refusal) as found:
            batcher.admit(1, deadline=time.monotonic() + 5)
        assert found.value.code == "overloaded"

    with_batcher(work, rate=4.0)  # 40 positions: ten seconds


def test_the_queue_is_bounded_however_fast_the_model_is():
    async def work(batcher: Batcher) -> None:
        batcher.admit(16, deadline=time.monotonic() + 60)
        with pytest.raises(Refusal):
            batcher.admit(1, deadline=time.monotonic() + 60)
        batcher.withdraw(16)
        batcher.admit(64, deadline=time.monotonic() + 60)  # an empty queue takes any request

    with_batcher(work, queue_rows=16)


def test_stopping_refuses_what_waits():
    async def work(batcher: Batcher) -> None:
        rows = [row(number, positions=100) for number in range(3)]
        batcher.submit(rows)
        await asyncio.sleep(0.1)
        batcher.refuse_all("draining")
        told = await asyncio.gather(*(one.answer for one in rows))
        assert told[0] == {"n": 0}
        assert [one.code for one in told[1:]] == ["draining", "draining"]

    with_batcher(work, Kept(0.3), batch_positions=100)


@pytest.mark.parametrize("too_few", [False, True])
def test_a_model_that_breaks_whole_tells_everybody_and_goes_on(too_few):
    calls: list[int] = []

    def broken(rows: Any) -> list[Any]:
        calls.append(len(rows))
        if len(calls) > 1:
            return double(rows)
        if too_few:
            return []
        raise RuntimeError("once")

    async def work(batcher: Batcher) -> None:
        assert batcher.alive
        first = row(1)
        batcher.submit([first])
        assert (await first.answer).code == "bug"
        second = row(2)
        batcher.submit([second])
        assert (await second.answer) == {"n": 4}
        await batcher.stop()
        assert not batcher.alive

    with_batcher(work, broken)


def test_the_pace_follows_the_model():
    pace = Pace(100.0, 10.0)
    for _ in range(50):
        pace.note(2, 40, 0.1)
    assert pace.rate == pytest.approx(400, rel=0.01)
    assert pace.size == pytest.approx(20, rel=0.01)
    assert pace.seconds(800) == pytest.approx(2, rel=0.01)
