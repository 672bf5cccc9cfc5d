"""The one training loop: every modality, every objective, one process or many."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from underlay.core import Batch, Interrupted, LossNotFinite, Rows, UsageError, derive_seed
from underlay.objectives import Value
from underlay.train.batching import plan_epoch
from underlay.train.callbacks import Callback
from underlay.train.checkpoints import Checkpoints, Progress, RunState, learning_tensors, load_tensors
from underlay.train.memory import give_back
from underlay.train.schedules import SCHEDULES
from underlay.train.signals import StopRequest, stop_on_signal
from underlay.train.trainable import Trainable

GIVE_BACK_EVERY = 50
"""Optimiser steps; it takes some 0.1 s and halves what a run holds after an epoch."""

BatchMap = Callable[[Batch, torch.Generator], Batch]
Validate = Callable[[], tuple[list[float], dict[str, float]]]
"""Gives (score, larger is better, compared in order; what to record)."""


@dataclass(frozen=True)
class Plan:
    """All numbers that decide the arithmetic of a run; taken from the resolved recipe.

    Args:
        seed: Of every random number.
        epochs: Passes over the rows, >= 1.
        batch_tokens: Most positions in a batch, padding included.
        batch_rows: Most rows in a batch.
        accumulate: Batches to one optimiser step.
        schedule: Registry name.
        warmup: Share of the run, 0 to 1.
        clip: Largest gradient norm; 0 leaves gradients alone.
        early_stopping: Validations without a better score before stopping; 0 never stops.
        checkpoint_every: Optimiser steps between checkpoints; 0 only at the ends of epochs.
        log_every: Optimiser steps averaged in one record of the history.
        nan_retries: Returns to the last checkpoint, each at half the rate, before giving up.
        time_limit: Seconds of training; None for no limit.
        keep: `best`: the parameters of the best validation; `last`: those at the end.
    """

    seed: int
    epochs: int
    batch_tokens: int
    batch_rows: int
    accumulate: int = 1
    schedule: str = "one-cycle.v1"
    warmup: float = 0.1
    clip: float = 1.0
    early_stopping: int = 0
    checkpoint_every: int = 200
    log_every: int = 10
    nan_retries: int = 1
    time_limit: float | None = None
    keep: str = "best"


class Loop:
    """One run over `rows`; `run` gives the state at the end, with the best parameters loaded.

    Args:
        trainable: Model and objective.
        rows: What to learn from.
        optimizer: Over the parameters of `trainable`; each group has a `scale`.
        learning_rate: Peak rate of a group of scale 1.
        plan: The numbers.
        validate: Called at the end of each epoch, in eval mode.
        checkpoints: Where state is kept; read first.
        callbacks: Observers.
        batch_maps: Changes to a batch before the model sees it (mixup, replay).
        accelerator: Placement, precision and processes.
    """

    def __init__(
        self,
        trainable: Trainable,
        rows: Rows,
        optimizer: torch.optim.Optimizer,
        *,
        learning_rate: float,
        plan: Plan,
        validate: Validate,
        checkpoints: Checkpoints,
        callbacks: Sequence[Callback] = (),
        batch_maps: Sequence[BatchMap] = (),
        accelerator: Accelerator | None = None,
    ) -> None:
        if plan.accumulate > 1 and any(term.coupled for term in trainable.objective.terms.values()):
            raise UsageError(
                "a term of this objective compares the rows of a batch, so accumulating changes it",
                "set train.accumulate=1 and raise train.batch_tokens",
            )
        self.bare, self.rows, self.plan, self.validate = trainable, rows, plan, validate
        self.checkpoints, self.callbacks, self.batch_maps = checkpoints, callbacks, batch_maps
        self.accelerator = accelerator or Accelerator(cpu=not torch.cuda.is_available())
        self.learning_rate = learning_rate
        self.schedule = SCHEDULES[plan.schedule](plan.warmup)
        self.module: nn.Module
        self.module, self.optimizer = self.accelerator.prepare(trainable, optimizer)
        self.state = RunState(Progress(), {}, {})

    def run(self) -> RunState:
        """Train from the newest checkpoint, or from the start, to the end.

        Raises:
            Interrupted: A signal asked to stop; a checkpoint has been written.
            LossNotFinite: The loss was NaN or infinite more than `nan_retries` times.
        """
        restored = self.checkpoints.restore(self.bare, self.optimizer.optimizer)
        self.state = restored or RunState(Progress(), self.bare.objective.init(self.bare.learner), {})
        for callback in self.callbacks:
            callback.on_begin(self.state.progress.step, self.state.progress.history)
        if restored is None:
            self._save()
        try:
            with stop_on_signal() as stop:
                while not self._finished():
                    self._epoch(stop)
        finally:
            for callback in self.callbacks:
                callback.on_end()
        load_tensors(self.bare, self.state.best)
        return self.state

    def _finished(self) -> bool:
        progress = self.state.progress
        return progress.epoch >= self.plan.epochs or bool(progress.stopped)

    def _epoch(self, stop: StopRequest) -> None:
        progress, plan = self.state.progress, self.plan
        batches = plan_epoch(
            self.rows.lengths,
            batch_tokens=plan.batch_tokens,
            batch_rows=plan.batch_rows,
            seed=plan.seed,
            epoch=progress.epoch,
        )
        self.module.train()
        while progress.index < len(batches):
            began = time.monotonic()
            group = batches[progress.index : progress.index + plan.accumulate]
            loss = self._step(group, (progress.epoch + progress.index / len(batches)) / plan.epochs)
            if not math.isfinite(loss):
                self._retreat(loss)
                return
            progress.step += 1
            progress.index += len(group)
            progress.seconds += time.monotonic() - began
            asked = self._observe(loss, group, progress.index / len(batches), time.monotonic() - began)
            if progress.step % GIVE_BACK_EVERY == 0:
                give_back()
            if plan.checkpoint_every and progress.step % plan.checkpoint_every == 0:
                self._save()
            late = plan.time_limit is not None and progress.seconds >= plan.time_limit
            number, asked, late = self._agree(stop.number or 0, asked, late)
            if number:
                self._save()
                raise Interrupted(number, f"stopped at step {progress.step} with a checkpoint", "--resume goes on")
            if asked or late:
                progress.stopped = "asked" if asked else "time"
                break
        self._close_epoch()

    def _step(self, group: Sequence[np.ndarray], share: float) -> float:
        """One optimiser step over the batches of `group`; gives the mean loss of its rows."""
        number, rows, accelerator = self.state.progress.step, sum(map(len, group)), self.accelerator
        factor = self.schedule(share) * 0.5**self.state.progress.retries
        for settings in self.optimizer.param_groups:
            settings["lr"] = self.learning_rate * settings["scale"] * factor
        torch.manual_seed(derive_seed(self.plan.seed, f"step/{number}/{accelerator.process_index}"))
        total = torch.zeros((), device=accelerator.device)
        for batch in group:
            mine = batch[accelerator.process_index :: accelerator.num_processes]
            value = self._value(mine if len(mine) else batch[:1], number)
            weighted = value.total * (len(mine) * accelerator.num_processes / rows)
            accelerator.backward(weighted)
            total += weighted.detach()
        loss = float(accelerator.reduce(total, "mean"))
        if math.isfinite(loss):
            if self.plan.clip:
                accelerator.clip_grad_norm_(self.module.parameters(), self.plan.clip)
            self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _value(self, picked: np.ndarray, number: int) -> Value:
        batch = self.rows.batch(picked.tolist()).map(lambda array: torch.from_numpy(array).to(self.accelerator.device))
        for change in self.batch_maps:
            batch = change(batch, torch.default_generator)
        with self.accelerator.autocast():
            value: Value = self.module(batch, self.state.terms, number)
        self.state.terms = value.state
        return value

    def _observe(self, loss: float, group: Sequence[np.ndarray], share: float, seconds: float) -> bool:
        """Tell the callbacks; True if one asks to stop."""
        progress, plan = self.state.progress, self.plan
        progress.pending.append(loss)
        if len(progress.pending) == plan.log_every:
            mean, progress.pending = sum(progress.pending) / plan.log_every, []
            self._record({"step": progress.step, "loss": mean})
        positions = int(sum(self.rows.lengths[batch].sum() for batch in group))
        done = (progress.epoch + share) / plan.epochs
        left = progress.seconds / max(done, 1e-9) * (1 - done)
        live = {"loss": loss, "done": done, "rate": positions / max(seconds, 1e-9), "left": left}
        asks = [callback.on_step(progress.step, live) for callback in self.callbacks]  # every one is told
        return any(asks)

    def _agree(self, number: int, asked: bool, late: bool) -> tuple[int, bool, bool]:
        """What any process saw, all act on."""
        if self.accelerator.num_processes == 1:
            return number, asked, late
        flags = torch.tensor([[number, int(asked), int(late)]], device=self.accelerator.device)
        seen = self.accelerator.gather(flags).amax(0).tolist()
        return int(seen[0]), bool(seen[1]), bool(seen[2])

    def _close_epoch(self) -> None:
        progress, plan = self.state.progress, self.plan
        self.module.eval()
        score, record = self.validate()
        progress.epoch, progress.index = progress.epoch + 1, 0
        better = not progress.best or score > progress.best
        progress.waited = 0 if better else progress.waited + 1
        if better or plan.keep == "last":
            progress.best, progress.best_step = score, progress.step
            self.state.best = {name: tensor.clone() for name, tensor in learning_tensors(self.bare).items()}
        if plan.early_stopping and progress.waited >= plan.early_stopping and progress.epoch < plan.epochs:
            progress.stopped = progress.stopped or "early"
        self._record({"step": progress.step, "epoch": progress.epoch, **record})
        self._save()

    def _record(self, record: dict[str, float]) -> None:
        self.state.progress.history.append(record)
        for callback in self.callbacks:
            callback.on_record(record)

    def _retreat(self, loss: float) -> None:
        """Go back to the last checkpoint at half the rate, or give up."""
        retries = self.state.progress.retries + 1
        if retries > self.plan.nan_retries:
            raise LossNotFinite(
                f"the loss became {loss} at step {self.state.progress.step}, also after {retries - 1} returns to the "
                "last good checkpoint",
                f"lower train.learning_rate (it was {self.learning_rate:g}) or look for extreme values in the data",
            )
        self.optimizer.zero_grad()
        restored = self.checkpoints.restore(self.bare, self.optimizer.optimizer)
        if restored is not None:
            self.state = restored
        self.state.progress.retries = retries
        self._save()
        for callback in self.callbacks:
            callback.on_retreat(self.state.progress.step, self.state.progress.history)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            self.checkpoints.save(self.bare, self.optimizer.optimizer, self.state)
        self.accelerator.wait_for_everyone()
