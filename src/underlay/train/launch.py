"""One process or several: who this one is, and how it waits for the others."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from accelerate import PartialState


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run started by `torchrun`; alone where there are no others.

    Args:
        index: 0 is the main one: it writes, the others only compute.
        count: Processes.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> "Ranks":
        """Meet the other processes, if `torchrun` started any."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        import torch

        state = PartialState(cpu=not torch.cuda.is_available())
        return cls(state.process_index, state.num_processes)

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return self.index == 0

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            PartialState().wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process runs the body before the others do: it writes caches, they read them."""
        if not self.main:
            self.wait()
        yield
        if self.main:
            self.wait()


def torchrun_command(arguments: Sequence[str], *, processes: int) -> list[str]:
    """The command that runs `underlay ARGUMENTS` in several processes of this machine.

    >>> torchrun_command(["fit", "a.csv"], processes=2)[1:4]
    ['-m', 'torch.distributed.run', '--standalone']
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [*launcher, "-m", "underlay", *arguments]
