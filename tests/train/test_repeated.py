"""Few rows drawn several times in an epoch."""

import numpy as np

from underlay.core import Batch
from underlay.train import RepeatedRows
from underlay.train.batching import plan_epoch


class Counted:
    """Three rows; a batch says which were asked for."""

    lengths = np.array([5, 7, 6])

    def batch(self, rows):
        return Batch({}, {"row": np.array(rows)}, {})


def test_every_row_comes_as_often_as_asked_in_an_epoch():
    rows = RepeatedRows(Counted(), 4)
    assert rows.lengths.tolist() == [5, 7, 6] * 4
    batches = plan_epoch(rows.lengths, batch_tokens=20, batch_rows=8, seed=0, epoch=0)
    drawn = np.concatenate([rows.batch(batch.tolist()).targets["row"] for batch in batches])
    assert np.bincount(drawn).tolist() == [4, 4, 4]


def test_a_batch_of_the_repeated_rows_is_one_of_the_rows_themselves():
    assert RepeatedRows(Counted(), 4).batch([0, 4, 11]).targets["row"].tolist() == [0, 1, 2]
