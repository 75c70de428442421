#!/usr/bin/env python3
"""Makes tests/golden/hub: small folders as timm and transformers write them, and what PyTorch answers.

hub/NAME holds the weights of a seeded network and config.json (and preprocessor_config.json); hub/expected.json, for
each folder and picture, the logits of the network in PyTorch on the picture as timm or transformers prepares it for
evaluation: Resize, CenterCrop, ToTensor, Normalize, on Pillow's pictures. Those two are not needed to make it: what they
do with the texts is written out below, each rule beside its folder.

Run it by hand, with Debian's python3-torch, python3-torchvision and python3-pil; its files are committed.
"""
import json
import math
import os
import sys

import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../pytorch"))
from torch_networks import Network, make_weights, write_safetensors

OUTPUT = os.path.join(HERE, "hub")
PICTURES = {"chelsea.png": "../../apps/pictures/chelsea.png", "rgb.png": "pictures/rgb.png", "strip.png": "pictures/strip.png"}
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
NAMES = ["n01440764", "n01443537", "n01484850", "n01491361", "n01494475"]
DESCRIPTIONS = {"n01440764": "tench", "n01443537": "goldfish", "n01484850": "great white shark",
                "n01491361": "tiger shark", "n01494475": "hammerhead"}


def network(seed):
    model = Network([(1, 4, 8, 1), (1, 8, 16, 2), (1, 8, 16, 2), (1, 16, 24, 2)], num_classes=len(NAMES), stem_width=8,
                    stem_kernel=7, stem_stride=2, stem_pool=True, groups=4)
    torch.manual_seed(seed)
    return make_weights(model, seed, torch.randn(16, 3, 64, 64)).eval()


def state(model):
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


# name: (texts, what they mean as (resize, crop, filter, mean, std), the labels)
FOLDERS = {
    # timm.data.resolve_model_data_config: input_size, crop_pct of training; the size to resize to is rounded down:
    # 64 / 0.95 = 67.4
    "timm": ({"config.json": {
        "architecture": "resnext8_4x4d", "num_classes": 5, "num_features": 24,
        "label_names": NAMES, "label_descriptions": DESCRIPTIONS,
        "pretrained_cfg": {
            "tag": "a1_in5", "input_size": [3, 64, 64], "test_input_size": [3, 96, 96], "fixed_input_size": False,
            "interpolation": "bicubic", "crop_pct": 0.95, "test_crop_pct": 1.0, "crop_mode": "center",
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 1000,
            "pool_size": [2, 2], "first_conv": "conv1", "classifier": "fc", "license": "apache-2.0"}}},
        (math.floor(64 / 0.95), 64, "bicubic", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        [DESCRIPTIONS[n] for n in NAMES]),
    # The older form, with no level of its own, and with what is absent or null at timm's defaults: bicubic,
    # crop_pct 0.875, ImageNet's mean and std
    "timm_flat": ({"config.json": {
        "architecture": "resnext8_4x4d", "num_classes": 5, "input_size": [3, 56, 56], "crop_pct": None,
        "labels": NAMES, "std": [0.5, 0.5, 0.5]}},
        (64, 56, "bicubic", [0.485, 0.456, 0.406], [0.5, 0.5, 0.5]), NAMES),
    # ConvNextImageProcessor: int(48 / 0.8) = 60, then 48; Pillow's filter 2 is bilinear
    "transformers": ({"config.json": {
        "architectures": ["ResNetForImageClassification"], "model_type": "resnet",
        "id2label": {str(i): DESCRIPTIONS[n] for i, n in enumerate(NAMES)}},
        "preprocessor_config.json": {
            "crop_pct": 0.8, "do_normalize": True, "do_resize": True, "feature_extractor_type": "ConvNextFeatureExtractor",
            "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "resample": 2, "size": {"shortest_edge": 48}}},
        (60, 48, "bilinear", [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]), [DESCRIPTIONS[n] for n in NAMES]),
}


def answer(model, path, meaning):
    resize, crop, filter_name, mean, std = meaning
    prepare = transforms.Compose([transforms.Resize(resize, FILTERS[filter_name]), transforms.CenterCrop(crop),
                                  transforms.ToTensor(), transforms.Normalize(mean, std)])
    with torch.no_grad():
        return model(prepare(Image.open(os.path.join(HERE, path)).convert("RGB"))[None])[0].tolist()


def main():
    torch.set_num_threads(1)
    expected = {}
    for seed, (name, (texts, meaning, labels)) in enumerate(FOLDERS.items(), start=1):
        folder = os.path.join(OUTPUT, name)
        os.makedirs(folder, exist_ok=True)
        model = network(seed)
        for file, content in texts.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
                json.dump(content, f, indent=2)
                f.write("\n")
        if name == "timm_flat":
            torch.save(state(model), os.path.join(folder, "pytorch_model.bin"))
        else:
            write_safetensors(os.path.join(folder, "model.safetensors"), state(model), {"format": "pt"})
        expected[name] = {"labels": labels, "logits": {picture: answer(model, path, meaning) for picture, path in PICTURES.items()}}
    with open(os.path.join(OUTPUT, "expected.json"), "w", encoding="utf-8") as f:
        json.dump(expected, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
