"""Positions with one row a segment: the same as the packed ones of the models, shapes apart."""

import pytest
import torch

from underlay.compress.layout import Layout, segment_ranks
from underlay.models.stems.text import segment_positions
from underlay.models.trunks.packing import Packing

MASKS = {
    "whole": [[1, 1, 1], [1, 1, 1]],
    "padded": [[1, 1, 1, 0], [1, 0, 0, 0]],
    "segments": [[1, 1, 2, 2, 2, 0], [1, 2, 3, 3, 0, 0], [1, 1, 1, 1, 1, 1]],
    "a gap between segments": [[1, 1, 0, 2, 2], [1, 0, 0, 0, 0]],
    "two columns": [[1, 1, 0, 1, 1, 1], [1, 2, 2, 1, 1, 0]],
    "one position": [[1]],
}


@pytest.fixture(params=MASKS)
def mask(request):
    return torch.tensor(MASKS[request.param])


def embedded(mask):
    return torch.randn(*mask.shape, 3, generator=torch.Generator().manual_seed(0))


def test_what_is_packed_comes_back_and_padding_is_zero(mask):
    layout, vectors = Layout.of(mask), embedded(mask)
    torch.testing.assert_close(layout.unpack(layout.pack(vectors)), vectors * (mask > 0).unsqueeze(-1))
    torch.testing.assert_close(layout.unpack(layout.flatten(layout.pad(layout.pack(vectors)))),
                               vectors * (mask > 0).unsqueeze(-1))  # fmt: skip


def test_its_rows_are_those_of_packing(mask):
    vectors = embedded(mask)
    packing, layout = Packing.of(mask), Layout.of(mask)
    theirs = [
        row[real] for row, real in zip(packing.pad(packing.pack(vectors)), packing.real(vectors.device), strict=True)
    ]
    ours = [row[real] for row, real in zip(layout.pad(layout.pack(vectors)), layout.filled, strict=True) if real.any()]
    assert sorted(row.tolist() for row in ours) == sorted(row.tolist() for row in theirs)


def test_nothing_stands_beyond_the_end_of_a_row(mask):
    layout = Layout.of(mask)
    assert layout.pad(layout.pack(embedded(mask)))[~layout.filled].abs().sum() == 0
    assert layout.filled.sum() == (mask > 0).sum()


def test_positions_are_counted_within_segments():
    for mask in (MASKS["segments"], MASKS["padded"], MASKS["a gap between segments"]):
        assert torch.equal(segment_ranks(torch.tensor(mask)), segment_positions(torch.tensor(mask)))
