"""The one-dimensional residual trunk against its definition, written as loops over positions."""

import pytest
import torch

from underlay.core import BundleRefused
from underlay.models import Backbone, build, configure, resolve
from underlay.models.trunks import Residual1dTrunk


def plain(values, layer):
    """`[T][D]` -> `[T][D]`: Wang, Yan and Oates, equation 3, each position normalised over its channels."""

    def normalised(rows, norm):
        found = []
        for row in rows:
            mean, variance = row.mean(), row.var(correction=0)
            found.append((row - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias)
        return found

    inner = list(values)
    for number, (window, norm) in enumerate(zip(layer.windows, layer.norms, strict=True)):
        reach, seen = window.kernel_size[0] // 2, []
        for place in range(len(inner)):
            total = torch.zeros(len(inner[0]))
            for step in range(-reach, reach + 1):
                if 0 <= place + step < len(inner):
                    total += window.weight[:, :, step + reach] @ inner[place + step]
            seen.append(total)
        inner = normalised(seen, norm)
        if number < len(layer.windows) - 1:
            inner = [row.clamp(min=0) for row in inner]
    around = normalised(list(values), layer.around)
    return [(one + other).clamp(min=0) for one, other in zip(inner, around, strict=True)]


def test_two_blocks_compute_their_definition():
    torch.manual_seed(0)
    trunk = Residual1dTrunk(width=6, depth=2, kernels=[7, 5, 3]).eval()
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)
        values = torch.randn(9, 6)
        expected = plain(plain(values, trunk.layers[0]), trunk.layers[1])
        found = trunk(values.unsqueeze(0))[0]
    assert found.std() > 0.1
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-5, atol=1e-5)


def test_from_scratch_it_asks_for_steps_and_its_sizes_can_be_changed():
    backbone = resolve("resnet-1d", options={"depth": 1, "kernels": [9, 3]})
    assert backbone.steps == 600
    assert (backbone.trunk["depth"], backbone.trunk["kernels"]) == (1, [9, 3])


@pytest.mark.parametrize("change", [{"kernels": []}, {"kernels": [8, 5]}, {"kernels": [-3]}, {"depth": 1 << 20}])
def test_sizes_that_cannot_be_are_refused(change):
    sizes = {"name": "residual1d.v1", "width": 8, "depth": 1, "kernels": [3], **change}
    series = {"name": "series.v1", "channels": 1, "patch": 1, "limit": 16}
    config = configure(Backbone("odd", sizes), columns={"series": series}, outputs={"label": 2})
    with pytest.raises(BundleRefused):
        build(config, seed=0)
