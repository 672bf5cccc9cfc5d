"""`odd.py` whose replicas know its backend too: `python odd_ray.py serve BUNDLE --on ray ...`."""

import runpy
from pathlib import Path

from underlay.serve.limits import Limits
from underlay.serve.ray import deploying
from underlay.serve.ray.replica import Replica, Source

ODD = str(Path(__file__).parents[1] / "odd.py")


class OddReplica(Replica):
    """Of this very script, so that Ray sends its code along."""

    def __init__(self, source: Source, limits: Limits) -> None:
        runpy.run_path(ODD, run_name="odd")
        super().__init__(source, limits)


if __name__ == "__main__":
    from underlay.cli import main

    runpy.run_path(ODD, run_name="odd")
    deploying.Replica = OddReplica  # type: ignore[misc]
    main()
