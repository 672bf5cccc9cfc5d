"""Made-up purchases of a shop, one row each: a chain of Markov over the goods of a few shelves.

Every customer likes two shelves. The next purchase is, with chance 0.55, what goes with the last one (the good behind
it on its shelf, the last one leading back to the first), with 0.25 another good of the same shelf, and with 0.2 one
of the other shelf that the customer likes. So the best possible guess is right in a little more than half of the
cases, order matters more than popularity, and goods repeat. A visit has one to four purchases a few minutes apart;
visits lie days apart. Customers of the bakery or the dairy come back with chance 0.85, the others with 0.2: `returns`
says who did.
"""

from typing import Any

import numpy as np

SEED = 20_240_601
CUSTOMERS = 300
SHELVES = {
    "bakery": ("rolls", "butter pretzel", "rye bread", "croissant", "poppy cake", "plaited loaf"),
    "dairy": ("milk", "yoghurt", "cream", "cheddar", "curd", "butter"),
    "fruit": ("apples", "pears", "grapes", "plums", "oranges", "bananas"),
    "pantry": ("pasta", "tomato sauce", "olive oil", "rice", "lentils", "salt"),
    "drinks": ("tea", "honey", "coffee", "filters", "lemonade", "water"),
    "household": ("soap", "sponge", "bin bags", "matches", "candles", "batteries"),
}
FOLLOWS, SAME_SHELF = 0.55, 0.25
"""Chances of the next purchase; what is left goes to the other shelf."""

LOYAL = ("bakery", "dairy")
FEWEST, MOST = 8, 32
"""Purchases of a customer."""

START = 1_704_067_200
"""The first of January 2024 in seconds since 1970."""


def purchases() -> dict[str, list[Any]]:
    """`customer`, `time` (seconds since 1970), `item`, `price` and `returns` of every purchase, in order."""
    rng = np.random.default_rng(SEED)
    prices = {item: round(float(0.5 + rng.exponential(3.0)), 2) for shelf in SHELVES.values() for item in shelf}
    columns: dict[str, list[Any]] = {name: [] for name in ("customer", "time", "item", "price", "returns")}
    for number in range(CUSTOMERS):
        liked = [list(SHELVES)[int(at)] for at in rng.choice(len(SHELVES), size=2, replace=False)]
        items = _items(liked, int(rng.integers(FEWEST, MOST + 1)), rng)
        back = rng.random() < (0.85 if set(liked) & set(LOYAL) else 0.2)
        columns["customer"] += [f"c{number:03d}"] * len(items)
        columns["time"] += _times(len(items), rng)
        columns["item"] += items
        columns["price"] += [prices[item] for item in items]
        columns["returns"] += ["yes" if back else "no"] * len(items)
    return columns


def _items(liked: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """A walk over the goods of two shelves."""
    shelf, place = liked[0], int(rng.integers(len(SHELVES[liked[0]])))
    found = []
    for _ in range(count):
        found.append(SHELVES[shelf][place])
        draw = rng.random()
        if draw < FOLLOWS:
            place = (place + 1) % len(SHELVES[shelf])
        else:
            shelf = shelf if draw < FOLLOWS + SAME_SHELF else liked[1 - liked.index(shelf)]
            place = int(rng.integers(len(SHELVES[shelf])))
    return found


def _times(count: int, rng: np.random.Generator) -> list[int]:
    """Visits of one to four purchases."""
    moment, left, found = START + int(rng.integers(30 * 86_400)), 0, []
    for _ in range(count):
        if left == 0:
            moment, left = moment + int(rng.exponential(6 * 86_400)) + 3_600, int(rng.integers(1, 5))
        moment, left = moment + int(rng.integers(20, 300)), left - 1
        found.append(moment)
    return found
