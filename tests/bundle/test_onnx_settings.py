"""How a graph is run: threads and kept memory are said in the bundle, and are what the runtime gets."""

import pytest

onnxruntime = pytest.importorskip("onnxruntime")

from underlay.bundle import onnx_backend  # noqa: E402
from underlay.core import BundleRefused  # noqa: E402


@pytest.mark.parametrize(("threads", "cores", "expected"), [(0, 4, 4), (1, 4, 1), (3, 2, 2), (2, 2, 2)])
@pytest.mark.parametrize("arena", [True, False])
def test_a_session_gets_the_threads_and_the_memory_that_were_chosen(threads, cores, expected, arena, monkeypatch):
    monkeypatch.setattr(onnx_backend, "cores", lambda: cores)
    options = onnx_backend._options({"threads": threads, "arena": arena})
    assert options.intra_op_num_threads == expected
    assert options.inter_op_num_threads == 1
    assert options.enable_cpu_mem_arena is arena
    assert options.enable_mem_pattern is False
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    "settings", [{}, {"threads": True, "arena": True}, {"threads": -1, "arena": True}, {"threads": 1}]
)
def test_settings_that_say_something_else_are_refused(settings):
    with pytest.raises(BundleRefused, match="threads is 0 or more"):
        onnx_backend._options(settings)
