"""Reading PyTorch's files without PyTorch, and without doing what they say."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_samples import LAYOUTS, STORAGES, View, legacy, view, zipped

from edgefer.backbones import torch_file
from edgefer.backbones.torch_file import read_tensors
from edgefer.errors import InputError, UntrustedCodeError

NUMBERS = np.arange(24, dtype=np.float32)
both_layouts = pytest.mark.parametrize("layout", LAYOUTS)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@both_layouts
@pytest.mark.parametrize("dtype", STORAGES)
def test_tensors_come_back_with_names_order_and_type(tmp_path: Path, layout: str, dtype: str):
    state = OrderedDict(last=view(NUMBERS.reshape(2, 3, 4).astype(dtype)), first=view(np.ones((), dtype)))
    tensors = read_tensors(written(tmp_path / "a.pth", LAYOUTS[layout](state)))
    assert list(tensors) == ["last", "first"]
    assert tensors["last"].dtype == dtype
    assert np.array_equal(tensors["last"], NUMBERS.reshape(2, 3, 4))
    assert tensors["first"].shape == ()


@both_layouts
def test_two_tensors_can_share_a_storage(tmp_path: Path, layout: str):
    state = {"upper": View(NUMBERS, 0, (3, 4), (4, 1)), "lower": View(NUMBERS, 12, (3, 4), (4, 1))}
    tensors = read_tensors(written(tmp_path / "a.pth", LAYOUTS[layout](state)))
    assert np.array_equal(tensors["upper"], NUMBERS[:12].reshape(3, 4))
    assert np.array_equal(tensors["lower"], NUMBERS[12:].reshape(3, 4))


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    order=st.randoms(use_true_random=False),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_any_shape_in_any_order_in_memory(tmp_path_factory, shape: list[int], order: Any, layout: str):
    axes = list(range(len(shape)))
    order.shuffle(axes)
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32).transpose(axes)
    path = tmp_path_factory.mktemp("torch") / "a.pth"
    assert np.array_equal(read_tensors(written(path, LAYOUTS[layout]({"a": view(array)})))["a"], array)


@both_layouts
@pytest.mark.parametrize(
    ("function", "named"), [(os.system, "system"), (eval, "eval"), (getattr, "getattr"), (np.zeros, "zeros")]
)
def test_a_pickle_that_calls_anything_is_refused_by_name(
    tmp_path: Path, layout: str, function: Any, named: str
):
    harm = tmp_path / "harm"
    state = {"weight": view(NUMBERS), "extra": Call(function, f"touch {harm}")}
    with pytest.raises(
        UntrustedCodeError, match=rf"a\.pth: names '\S+\.{named}', which is no part"
    ) as caught:
        read_tensors(written(tmp_path / "a.pth", LAYOUTS[layout](state)))
    assert "\n" not in str(caught.value)
    assert not harm.exists()


def test_a_call_in_the_header_of_an_old_file_is_refused(tmp_path: Path):
    content = pickle.dumps(Call(os.system, f"touch {tmp_path / 'harm'}"), 2) + legacy({})
    with pytest.raises(UntrustedCodeError, match="system"):
        read_tensors(written(tmp_path / "a.pth", content))
    assert not (tmp_path / "harm").exists()


@both_layouts
def test_every_truncation_is_one_clear_line(tmp_path: Path, layout: str):
    content = LAYOUTS[layout]({"a": view(NUMBERS), "b": view(NUMBERS.astype("f8"))})
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(
            InputError, match=r"a\.pth: truncated or not a PyTorch file .*copy it again"
        ) as caught:
            read_tensors(written(tmp_path / "a.pth", content[:length]))
        assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), layout=st.sampled_from(sorted(LAYOUTS)))
def test_a_changed_byte_is_a_typed_error_or_other_numbers(
    tmp_path_factory, place: int, byte: int, layout: str
):
    content = bytearray(LAYOUTS[layout]({"a": view(NUMBERS.reshape(4, 6))}))
    content[place % len(content)] = byte
    path = written(tmp_path_factory.mktemp("torch") / "a.pth", bytes(content))
    try:
        tensors = read_tensors(path)
    except InputError:
        return
    assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())


@both_layouts
@pytest.mark.parametrize(
    "tensor",
    [
        View(NUMBERS, 20, (5,), (1,)),
        View(NUMBERS, 0, (5, 5), (5, 1)),
        View(NUMBERS, 0, (10**2, 10**2), (0, 0)),
        View(NUMBERS, 0, (2,), (-1,)),
        View(NUMBERS, -1, (2,), (1,)),
        View(NUMBERS, 0, (2, 2), (1,)),
        View(NUMBERS, 0, (2.5,), (1,)),  # type: ignore[arg-type]
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path, layout: str, tensor: View):
    with pytest.raises(InputError, match=r"storage|makes no sense"):
        read_tensors(written(tmp_path / "a.pth", LAYOUTS[layout]({"a": tensor})))


@both_layouts
@pytest.mark.parametrize("state", [{"epoch": 3}, {"model": {"a": view(NUMBERS)}}, [view(NUMBERS)], 7])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, layout: str, state: Any):
    with pytest.raises(InputError, match=r"a\.pth: .*(is no tensor|a state dict is needed)"):
        read_tensors(written(tmp_path / "a.pth", LAYOUTS[layout](state)))


def test_a_compressed_archive_is_refused(tmp_path: Path):
    content = partial(zipped, compression=zipfile.ZIP_DEFLATED)({"a": view(np.zeros(10**6, np.float32))})
    with pytest.raises(InputError, match="compressed"):
        read_tensors(written(tmp_path / "a.pth", content))


def test_too_large_a_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch_file, "LARGEST_BYTES", 100)
    with pytest.raises(InputError, match="too large"):
        read_tensors(written(tmp_path / "a.pth", b"x" * 101))


@both_layouts
def test_many_views_of_one_storage_cannot_fill_the_memory(tmp_path: Path, layout: str):
    large = np.zeros(2**20, np.float32)
    state = {str(number): View(large, 0, (2**20,), (1,)) for number in range(300)}
    with pytest.raises(InputError, match="larger than 1024 MiB together"):
        read_tensors(written(tmp_path / "a.pth", LAYOUTS[layout](state)))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.pth: cannot be read \(No such file"):
        read_tensors(tmp_path / "none.pth")
