"""Frames reach the networks as open_clip's own transform would give them, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cinescribe.encoders.preprocessing import Preprocessing

SIDES = st.integers(8, 500)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def noise(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Every pixel black or white: where resizing overshoots most, and rounding shows."""
    bits = np.random.default_rng(seed).integers(0, 2, (height, width, 3), dtype=np.uint8)
    return bits * np.uint8(255)


@settings(max_examples=30, deadline=None)
@given(
    SIDES,
    SIDES,
    st.sampled_from(["shortest", "longest", "squash"]),
    st.sampled_from(["bicubic", "bilinear"]),
    st.sampled_from([(224, 224), (64, 64), (96, 160)]),
)
def test_it_is_open_clips_transform(
    height: int, width: int, mode: str, interpolation: str, size: tuple[int, int]
) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    if mode == "shortest" and size[0] != size[1]:
        interpolation = "bicubic"  # all that open_clip has for it
    frame = noise(height, width, seed=height * 1000 + width)
    config = PreprocessCfg(
        size=size, mean=MEAN, std=STD, interpolation=interpolation, resize_mode=mode, fill_color=7
    )
    theirs = image_transform_v2(config, is_train=False)(Image.fromarray(frame))
    ours = Preprocessing(size, MEAN, STD, interpolation, mode, fill_color=7)(frame[None])
    assert np.array_equal(ours[0].numpy(), theirs.numpy())


@settings(max_examples=20, deadline=None)
@given(SIDES, SIDES, st.sampled_from(["shortest", "longest"]), st.sampled_from(["bicubic", "bilinear"]))
def test_a_gpus_path_gives_pillows_integers(height: int, width: int, mode: str, interpolation: str) -> None:
    import torch

    height = min(height, 2 * width - width // 8)  # beyond, Pillow 13 goes another way round
    frames = np.stack([noise(height, width, seed) for seed in (1, 2)])
    preprocessing = Preprocessing((96, 96), MEAN, STD, interpolation, mode)
    pillow = np.stack([preprocessing.by_pillow(frame) for frame in frames]).transpose(0, 3, 1, 2)
    assert np.array_equal(preprocessing.by_tensors(torch.from_numpy(frames)).numpy(), pillow)


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (1080, 1920)])
def test_an_edge_longer_than_the_input_is_resized_to_and_cropped(shape: tuple[int, int]) -> None:
    from PIL import Image
    from torchvision import transforms

    frame = noise(*shape, seed=3)
    theirs = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )(Image.fromarray(frame))
    assert np.array_equal(
        Preprocessing((224, 224), MEAN, STD, edge=256)(frame[None])[0].numpy(), theirs.numpy()
    )
