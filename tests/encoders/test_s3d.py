"""S3D and S3D-G: counts and names as published, layers against torch's own functions, files of users."""

import hashlib
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from cinescribe import storage, zoo
from cinescribe.encoders import catalogue, s3d, s3d_network
from cinescribe.encoders.s3d_network import (
    S3D,
    S3DG,
    Inception,
    SamePool,
    SeparableConvolution,
    space_to_depth,
)
from cinescribe.errors import WeightsError
from cinescribe.models.word2vec_text import Word2VecText
from tests.s3 import s3_server

WORDS = [f"word{k}" for k in range(66_249 - 3)] + ["open", "door", "don't"]


def parameters(network: torch.nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


def randomise(network: torch.nn.Module) -> None:
    """Weights and batch-norm statistics of ordinary size, so that nothing cancels or hides."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, std=0.1)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A file as the authors' is built, of random tensors, and the word list beside it."""
    folder = tmp_path_factory.mktemp("milnce")
    network = S3DG()
    randomise(network)
    text = {f"text_module.{name}": values for name, values in Word2VecText().state_dict().items()}
    torch.save(network.state_dict() | text, folder / "s3d_howto100m.pth")
    np.save(folder / "s3d_dict.npy", np.array(WORDS))
    return folder / "s3d_howto100m.pth"


def clips(count: int = 1, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, height, width, 3), np.uint8)


def cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """Of two rows about the mean of the expected, which all features share."""
    found, expected = found[0] - expected.mean(), expected[0] - expected.mean()
    return found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)


def test_sizes_are_those_published():
    assert parameters(S3DG()) == 9_670_800
    assert parameters(S3DG()) + parameters(Word2VecText()) == 31_211_336
    assert parameters(S3D()) == 7_910_048
    assert parameters(S3D(400)) == 8_320_048  # as torchvision counts it


def test_names_and_shapes_of_the_published_state(published):
    state = torch.load(published, weights_only=True)
    assert len(state) == 537
    shapes = {name: tuple(values.shape) for name, values in state.items()}
    assert shapes["conv1.conv1.weight"] == (64, 24, 2, 4, 4)
    assert shapes["fc.weight"] == (512, 1024)
    assert shapes["text_module.word_embd.weight"] == (66_250, 300)
    assert shapes["text_module.fc1.weight"] == (2048, 300)
    assert shapes["text_module.fc2.weight"] == (512, 2048)
    kinds = {re.sub(r"mixed_\d[b-f]", "mixed", name).rpartition(".")[0] for name in shapes}
    convolution, separable = ("conv1", "bn1"), ("conv1", "bn1", "conv2", "bn2")
    expected = {f"{place}.{part}" for place in ("conv1", "conv_2b") for part in convolution}
    expected |= {f"conv_2c.{part}" for part in separable} | {"gating.fc", "fc"}
    expected |= {f"mixed.gating_b{branch}.fc" for branch in range(4)}
    expected |= {f"mixed.conv_{b}.{part}" for b in ("b0", "b1_a", "b2_a", "b3_b") for part in convolution}
    expected |= {f"mixed.conv_{b}.{part}" for b in ("b1_b", "b2_b") for part in separable}
    assert kinds == expected | {f"text_module.{part}" for part in ("word_embd", "fc1", "fc2")}


@pytest.mark.parametrize(("time", "pixels"), [(16, 64), (32, 96)])
def test_shapes_of_the_gated_network(time, pixels):
    network = S3DG().eval()
    with torch.inference_mode():
        found = network.features(torch.rand(2, 3, time, pixels, pixels))
        assert found.shape == (2, 1024, time // 8, pixels // 32, pixels // 32)
        assert network.joint(network(torch.rand(1, 3, time, 32, 32))).shape == (1, 512)


def test_shape_of_the_coclr_network():
    with torch.inference_mode():
        assert S3D().eval()(torch.rand(1, 3, 32, 128, 128)).shape == (1, 1024, 4, 4, 4)


def test_space_to_depth_puts_colour_fastest():
    video = torch.arange(2 * 3 * 4 * 6 * 8).view(2, 3, 4, 6, 8)
    deep = space_to_depth(video)
    assert deep.shape == (2, 24, 2, 3, 4)
    for dt, dh, dw, colour in np.ndindex(2, 2, 2, 3):
        channel = ((dt * 2 + dh) * 2 + dw) * 3 + colour
        assert torch.equal(deep[:, channel], video[:, colour, dt::2, dh::2, dw::2])


def test_same_pool_pads_the_odd_zero_behind():
    row = torch.tensor([1.0, 5.0, 4.0, 2.0, 3.0, 9.0])
    pool = SamePool((1, 1, 3), (1, 1, 2))
    assert pool(row.view(1, 1, 1, 1, 6)).flatten().tolist() == [5, 4, 9]  # 1 5 4 | 4 2 3 | 3 9 0
    assert pool(row[:5].view(1, 1, 1, 1, 5)).flatten().tolist() == [5, 4, 3]  # 1 5 4 | 4 2 3 | 3 0
    halves = SamePool((2, 2, 2), (2, 2, 2))(torch.arange(27.0).view(1, 1, 3, 3, 3))
    assert halves.flatten().tolist() == [13, 14, 16, 17, 22, 23, 25, 26]


def test_separable_convolution_against_torch():
    layer = SeparableConvolution(3, 5, size=3).eval()
    randomise(layer)
    video = torch.randn(2, 3, 4, 6, 6)

    def norm(values, batch_norm):
        scale = batch_norm.weight / (batch_norm.running_var + 1e-5).sqrt()
        shift = batch_norm.bias - batch_norm.running_mean * scale
        return (values * scale.view(-1, 1, 1, 1) + shift.view(-1, 1, 1, 1)).clamp(min=0)

    spatial = torch.stack(
        [functional.conv2d(video[:, :, t], layer.conv1.weight[:, :, 0], padding=1) for t in range(4)], dim=2
    )
    expected = norm(spatial, layer.bn1)
    weight = layer.conv2.weight[..., 0, 0]
    temporal = functional.conv1d(expected.permute(0, 3, 4, 1, 2).reshape(-1, 5, 4), weight, padding=1)
    expected = norm(temporal.view(2, 6, 6, 5, 4).permute(0, 3, 4, 1, 2), layer.bn2)
    with torch.inference_mode():
        torch.testing.assert_close(layer(video), expected, atol=1e-5, rtol=1e-5)


def test_inception_gates_each_branch_before_joining():
    block = Inception(6, (2, 3, 4, 3, 5, 2), gated=True, epsilon=1e-5).eval()
    randomise(block)
    video = torch.rand(1, 6, 4, 5, 5)
    with torch.inference_mode():
        branches = [
            block.conv_b0(video),
            block.conv_b1_b(block.conv_b1_a(video)),
            block.conv_b2_b(block.conv_b2_a(video)),
            block.conv_b3_b(functional.max_pool3d(video, 3, 1, 1)),
        ]
        expected = []
        for number, branch in enumerate(branches):
            gate = block.get_submodule(f"gating_b{number}.fc")
            weight = torch.sigmoid(gate.weight @ branch.mean((0, 2, 3, 4)) + gate.bias)
            expected.append(branch * weight.view(1, -1, 1, 1, 1))
        torch.testing.assert_close(block(video), torch.cat(expected, 1))
    assert block.outputs == 13


def test_folding_batch_norms_changes_no_result():
    network = S3DG().eval()
    randomise(network)
    video = torch.rand(1, 3, 16, 64, 64)
    with torch.inference_mode():
        before = network(video)
        s3d_network.fold_batch_norms(network)
        torch.testing.assert_close(network(video), before, rtol=1e-3, atol=1e-4 * before.std().item())
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)]


def test_coclr_names_load_by_one_of_their_two_sets():
    network = S3D().eval()
    randomise(network)
    state, blocks = network.state_dict(), {}
    places = {ours: theirs for theirs, ours in s3d_network._COCLR_PLACES.items()}
    branches = {ours: theirs for theirs, ours in s3d_network._BRANCHES.items()}
    for name, values in state.items():
        place, *rest = name.split(".")
        if rest[0] in branches:
            rest[0] = branches[rest[0]]
        plain = place == "conv_2b" or rest[0] in ("branch0.0", "branch1.0", "branch2.0", "branch3.1")
        if plain:  # BasicConv3d calls its layers conv and bn
            rest = [{"conv1": "conv", "bn1": "bn"}.get(part, part) for part in rest]
        blocks[f"module.encoder_q.0.{places[place]}.{'.'.join(rest)}"] = values
        blocks[f"module.encoder_q.0.{place.title()}.{'.'.join(rest)}"] = torch.full_like(values, 7)
    loaded = S3D()
    s3d_network.load_network(loaded, s3d_network.from_coclr(blocks), "coclr.pth.tar")
    for name, values in loaded.state_dict().items():
        assert torch.equal(values, state[name]), name
    assert "module.encoder_q.0.block3.1.branch1.1.conv2.weight" in blocks
    assert "module.encoder_q.0.block2.1.conv.weight" in blocks


def test_features_of_a_published_file(published):
    encoder = catalogue.load(f"s3d:{published}")
    batch = clips()
    found = encoder(batch)
    assert found.shape == (1, encoder.spec.dim) == (1, 1024)
    assert found.dtype == np.float16
    network = S3DG().eval()
    state = torch.load(published, weights_only=True)
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("text_module.")})
    pictures = torch.from_numpy(batch[0]).permute(0, 3, 1, 2).float()
    pictures = functional.interpolate(pictures, (224, 298), mode="bilinear", antialias=True)[..., 37:261]
    with torch.inference_mode():
        expected = network((pictures / 255).transpose(0, 1)[None])
        expected_joint = network.joint(expected).numpy()
    assert cosine(found, expected.numpy()) > 0.999
    joint = catalogue.load(f"s3d:joint:{published}")
    assert (joint.spec.name, joint.spec.dim) == ("s3d-joint", 512)
    found = joint(batch)
    assert found.shape == (1, 512)
    assert cosine(found, expected_joint) > 0.999


def test_what_the_encoder_asks_for():
    spec = catalogue.spec("s3d")
    assert (spec.name, spec.hz, spec.dim, spec.window) == ("s3d", 1.0, 1024, 0.0)
    assert spec.offsets == tuple(k / 16 for k in range(16))
    assert spec.count(10.0) == 10  # one a second, without overlap
    assert catalogue.spec("s3d:joint").dim == 512
    assert catalogue.spec("s3d:/weights/s3d_howto100m.pth@2").hz == 2.0


def test_a_file_older_than_the_counters_loads(published):
    state = torch.load(published, weights_only=True)
    state = {name: values for name, values in state.items() if not name.startswith("text_module.")}
    old = {name: values for name, values in state.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(state) == 532
    network = S3DG()
    s3d_network.load_network(network, old, "old.pth")
    for name, values in network.state_dict().items():
        assert torch.equal(values, state[name]), name


def test_wrong_files_are_named_with_what_is_missing(published, tmp_path):
    state = torch.load(published, weights_only=True)
    wrong = {k: v for k, v in state.items() if k not in ("fc.weight", "conv_2b.bn1.bias")}
    wrong |= {"extra.weight": torch.zeros(1), "gating.fc.bias": torch.zeros(7)}
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError) as caught:
        catalogue.load(f"s3d:{tmp_path / 'wrong.pth'}")
    for part in ("wrong.pth", "missing: conv_2b.bn1.bias, fc.weight", "unknown: extra.weight"):
        assert part in str(caught.value)
    assert "gating.fc.bias (7,), expected (192,)" in str(caught.value)
    torch.save({"fc.weight": state["fc.weight"]}, tmp_path / "textless.pth")
    with pytest.raises(WeightsError, match=r"textless\.pth.*missing: fc1\.bias, fc1\.weight, fc2\.bias"):
        s3d.S3DText(str(tmp_path / "textless.pth"))


class Code:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_code_in_a_checkpoint_or_word_list_is_refused_and_not_run(published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"fc.weight": Code()}, "s3d_howto100m.pth")
    with pytest.raises(WeightsError, match="only tensors"):
        catalogue.load("s3d:s3d_howto100m.pth")
    Path("s3d_howto100m.pth").write_bytes(pickle.dumps(Code()))
    with pytest.raises(WeightsError):
        catalogue.load("s3d:s3d_howto100m.pth")
    Path("s3d_howto100m.pth").write_bytes(published.read_bytes())
    np.save("s3d_dict.npy", np.array([Code()], dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match=r"s3d_dict\.npy.*not read"):
        s3d.S3DText("s3d_howto100m.pth")
    assert not Path("touched").exists()


def test_a_word_list_of_another_length_is_refused(published, tmp_path):
    (tmp_path / "s3d_howto100m.pth").write_bytes(published.read_bytes())
    np.save(tmp_path / "s3d_dict.npy", np.array(WORDS[:100]))
    with pytest.raises(WeightsError, match=r"s3d_dict\.npy: 100 words.*66249"):
        s3d.S3DText(str(tmp_path / "s3d_howto100m.pth"))


def test_weights_that_are_not_there_say_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("CINESCRIBE_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        catalogue.load("s3d")
    for part in (f"{s3d.ADDRESS}/s3d_howto100m.pth", "s3d_dict.npy", str(zoo.store_folder() / s3d.FOLDER)):
        assert part in str(caught.value)
    with pytest.raises(WeightsError, match="/nowhere/s3d_howto100m"):
        catalogue.load("s3d:/nowhere/s3d_howto100m.pth")


def test_weights_in_the_store_are_found_without_a_path(published, tmp_path, monkeypatch):
    monkeypatch.setenv("CINESCRIBE_CACHE", str(tmp_path))
    folder = zoo.store_folder() / s3d.FOLDER
    folder.parent.mkdir(parents=True)
    folder.symlink_to(published.parent)
    assert s3d.S3DText().encode(["open door"]).shape == (1, 512)


def test_weights_on_s3(published, tmp_path):
    with s3_server("studio"):
        torch.save({"fc.weight": torch.ones(3)}, tmp_path / "small.pth")
        storage.write_bytes("s3://studio/small.pth", (tmp_path / "small.pth").read_bytes())
        storage.write_bytes("s3://studio/s3d_dict.npy", (published.parent / "s3d_dict.npy").read_bytes())
        assert s3d.read_words("s3://studio/s3d_dict.npy") == WORDS
        state, digest = s3d.read_weights("s3://studio/small.pth")
        assert torch.equal(state["fc.weight"], torch.ones(3))
        assert digest == hashlib.sha256((tmp_path / "small.pth").read_bytes()).hexdigest()
        with pytest.raises(WeightsError, match=r"s3://studio/small\.pth: not the weights.*missing: conv1"):
            catalogue.load("s3d:s3://studio/small.pth")
        with pytest.raises(WeightsError, match="s3://studio/other"):
            s3d.read_weights("s3://studio/other.pth")


def test_text_as_milnce_reads_it(published):
    text = s3d.S3DText(str(published))
    state = torch.load(published, weights_only=True)
    table, *rest = (state[f"text_module.{name}"] for name in ("word_embd.weight", "fc1.weight", "fc1.bias"))
    fc1_weight, fc1_bias = rest
    fc2_weight, fc2_bias = state["text_module.fc2.weight"], state["text_module.fc2.bias"]

    def by_hand(numbers: list[int]) -> torch.Tensor:
        hidden = (table[numbers] @ fc1_weight.T + fc1_bias).clamp(min=0)
        return fc2_weight @ hidden.max(0).values + fc2_bias

    number = {word: place for place, word in enumerate(WORDS, 1)}
    found = torch.from_numpy(
        text.encode(["Open the DOOR, don't!", "unheard of", "word5 " * 3 + "word6 " * 30])
    )
    known = [number["open"], number["door"], number["don't"]]
    torch.testing.assert_close(found[0], by_hand(known + [0] * 13))  # padding takes part in the maximum
    torch.testing.assert_close(found[1], by_hand([0] * 16))
    torch.testing.assert_close(found[2], by_hand([number["word5"]] * 3 + [number["word6"]] * 13))
    assert not torch.allclose(found[0], by_hand(known))
    sixteen = text.encode([" ".join(WORDS[:16])])
    np.testing.assert_array_equal(text.encode([" ".join(WORDS[:17])]), sixteen)
    np.testing.assert_array_equal(text.encode(["unheard " * 20 + " ".join(WORDS[:16])]), sixteen)
    twenty = s3d.S3DText(str(published), max_words=20)
    assert not np.array_equal(twenty.encode([" ".join(WORDS[:17])]), sixteen)

    tan = s3d.S3DText(str(published), variant="tan")
    found = torch.from_numpy(tan.encode(["open the door", "unheard of", "unheard " * 32 + "open"]))
    torch.testing.assert_close(
        found[0], by_hand([number["open"], number["door"]])
    )  # neither padding nor "the"
    torch.testing.assert_close(found[1], by_hand([0]))  # nothing is known: nothing is left out
    torch.testing.assert_close(found[2], by_hand([0]))  # unknown words count among the 32
