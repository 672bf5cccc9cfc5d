"""Arrays on a full disk: an error with its number, never a killed process."""

import errno
import os

import numpy as np
import pytest

from underlay.train.arrays import reserve_array, save_array


def test_a_saved_array_reads_back(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    save_array(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)


@pytest.mark.row("D17")
@pytest.mark.parametrize("size", [4, 1 << 20])
def test_a_disk_that_is_full_while_an_array_is_saved_says_so(tmp_path, size):
    (tmp_path / "full.npy").symlink_to("/dev/full")  # every write there ends in ENOSPC
    with pytest.raises(OSError, match=r"[Nn]o space") as refused:
        save_array(tmp_path / "full.npy", np.zeros(size))
    assert refused.value.errno == errno.ENOSPC


def test_an_error_that_has_its_number_keeps_it(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        save_array(tmp_path / "missing" / "a.npy", np.zeros(3))
    assert refused.value.errno == errno.ENOENT


def test_a_reserved_array_is_zero_and_its_blocks_are_there(tmp_path):
    array = reserve_array(tmp_path / "a", (1000, 64), np.float16)
    assert isinstance(array, np.memmap)
    assert array.shape == (1000, 64)
    assert not array.any()
    status = os.stat(tmp_path / "a")
    assert status.st_size == 1000 * 64 * 2
    assert status.st_blocks * 512 >= status.st_size, "no hole that a full disk would turn into SIGBUS"
    array[3] = 1
    array.flush()
    assert np.memmap(tmp_path / "a", np.float16, mode="r", shape=(1000, 64))[3].all()


@pytest.mark.row("D17")
def test_more_than_the_disk_holds_is_refused_before_a_byte_is_written(tmp_path):
    with pytest.raises(OSError, match="rrno") as refused:
        reserve_array(tmp_path / "a", (1 << 50, 8), np.float32)
    assert refused.value.errno in (errno.ENOSPC, errno.EFBIG)


def test_what_stood_in_the_file_before_is_gone(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff" * 10_000)
    assert not reserve_array(tmp_path / "a", (10, 2), np.float16).any()
