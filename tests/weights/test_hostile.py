"""Files that nobody should trust: one line each, nothing is run, nothing changes, and neither time nor memory is lost."""

from __future__ import annotations

import pickle
import resource
import time
from itertools import islice
from pathlib import Path

import pytest
import torch

from shufflekit.errors import ShufflekitError, WeightsError
from shufflekit.models import build_model
from shufflekit.weights import load_weights
from tests.weights.hostile import good_files, hostile_files, payloads

_MOST_SECONDS = 20.0  # of one file, on a busy machine
_MOST_MEMORY = 700_000  # KiB that all of them together may add to the process's peak


def network():
    return build_model("shufflenet_v2_x0_5", num_classes=10)


def try_all(files, folder: Path) -> tuple[int, int]:
    """How many files were tried and how many were refused; fails on any that is neither refused in a line nor fine."""
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    options, tried, refused = dict(model.options), 0, 0
    for file in files:
        path = folder / f"net{file.suffix}"
        path.write_bytes(file.content)
        start, message = time.process_time(), None
        try:
            load_weights(model, path)
        except ShufflekitError as error:
            message = str(error)
        if message is None:
            assert not file.must_fail, f"{file.name}: was loaded"
            model.load_state_dict(before)
        else:
            refused += 1
            assert message.isprintable(), f"{file.name}: {message!r}"
            assert len(message) < 1000, f"{file.name}: {message!r}"
            assert str(path) in message, f"{file.name}: {message!r}"
            assert file.says in message, f"{file.name}: {message!r}"
        assert time.process_time() - start < _MOST_SECONDS, f"{file.name} took {time.process_time() - start:.1f} s"
        state = model.state_dict()
        assert all(torch.equal(state[name], before[name]) for name in before), f"{file.name} changed the network"
        assert model.options == options, f"{file.name} changed the network's options"
        tried += 1
    return tried, refused


def test_a_sample(tmp_path):
    marker = tmp_path / "marker"
    files = hostile_files(network().state_dict(), marker, seed=1, damaged=40)
    light = (file for file in files if len(file.content) < 2_000_000)
    tried, refused = try_all(islice(light, 0, None, 9), tmp_path)
    assert refused > 0.8 * tried > 40
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_every_kind(tmp_path, seed):
    marker = tmp_path / "marker"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tried, refused = try_all(hostile_files(network().state_dict(), marker, seed, damaged=400), tmp_path)
    print(f"{tried} files, {refused} refused in one line")
    assert tried > 800
    assert not marker.exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < _MOST_MEMORY


def test_the_payloads_would_run(tmp_path):
    """Else the tests above would prove nothing."""
    for name in ("os.system", "eval", "touch", "copy", "torch.save"):
        marker = tmp_path / name
        pickle.loads(pickle.dumps(payloads(marker)[name]))
        assert marker.exists(), name


def test_the_good_files_load(tmp_path):
    state = network().state_dict()
    for suffix, content in good_files(state).items():
        path = tmp_path / f"net{suffix}"
        path.write_bytes(content)
        model = network()
        load_weights(model, path)
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items()), suffix


@pytest.mark.parametrize("protocol", range(6))
def test_a_payload_is_told_from_damage(protocol, tmp_path):
    for suffix in (".pth", ".safetensors"):
        path = tmp_path / f"net{suffix}"
        path.write_bytes(pickle.dumps(payloads(tmp_path / "marker")["os.system"], protocol))
        with pytest.raises(WeightsError, match=r"refused: it needs posix.system, and loading more than tensors could run code"):
            load_weights(network(), path)
    assert not (tmp_path / "marker").exists()
