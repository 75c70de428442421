#!/usr/bin/env python3
"""Makes tests/golden/layers/*.safetensors: tiny networks with every layer's output, from PyTorch.

NAME.safetensors holds a network's weights under torchvision's names, and its recipe as metadata. NAME.outputs.safetensors
holds the network's input, `input` [2][3][h][w] (normalised pixels), and, for every module on the path, its output in eval
mode: `conv1`, `bn1` (before the ReLU), `relu`, `maxpool` where there is one, `layer1.0.conv1`, `layer1.0.bn1`, ...,
`layer1.0.downsample.0` and `.1`, `layer1.0` (the block: after sum and ReLU), `avgpool` [2][c][1][1], `fc` [2][classes].
All fp32, NCHW. num_batches_tracked is left out.

Run it by hand, with Debian's python3-torch, when a network below changes, with the names of those to make (none: all);
its files are committed.
"""
import os
import re
import sys

import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pytorch"))
from torch_networks import Network, make_weights, write_safetensors

LIMIT = 150_000  # bytes per file: they are committed

# name: (height, width, Network's arguments). Channels per group 1, 2, 3, 4, 8, 16 and cardinalities
# 1 ... 32 all occur; so do 1 to 4 stages, both stems, odd sizes, channel counts that are no multiple of 8.
NETWORKS = {
    # torchvision's resnet18 in small: 7x7 stem, pool, a first block without downsample
    "basic_7x7": (33, 47, dict(stages=[(1, 0, 3, 1), (1, 0, 6, 2), (1, 0, 9, 2), (1, 0, 16, 2)],
                               num_classes=10, stem_width=3, stem_kernel=7, stem_stride=2, stem_pool=True, bottleneck=False)),
    "basic_3x3": (11, 7, dict(stages=[(2, 0, 8, 1), (2, 0, 12, 2)], num_classes=2, stem_width=8, bottleneck=False)),
    # torchvision's resnet50 in small
    "bottleneck_g1": (21, 25, dict(stages=[(2, 3, 12, 1), (1, 5, 20, 2), (1, 8, 32, 2), (1, 16, 40, 2)],
                                   num_classes=37, stem_width=4, stem_kernel=7, stem_stride=2, stem_pool=True)),
    "bottleneck_g2": (15, 11, dict(stages=[(1, 6, 10, 1), (1, 16, 24, 2), (1, 32, 24, 2)], num_classes=10,
                                   stem_width=7, groups=2, stem_stride=2)),         # 3, 8, 16 per group
    "bottleneck_g4": (11, 9, dict(stages=[(1, 4, 16, 1), (2, 8, 16, 2), (1, 32, 24, 2)], num_classes=37,
                                   stem_width=8, groups=4, stem_pool=True)),         # 1, 2, 8 per group
    "bottleneck_g8": (7, 5, dict(stages=[(1, 8, 12, 1), (1, 16, 24, 2), (1, 24, 32, 1), (1, 32, 32, 2)], num_classes=10,
                                  stem_width=6, groups=8)),                          # 1, 2, 3, 4 per group
    # the bundled model in small: 3x3 stem with pool
    "bottleneck_g16": (9, 7, dict(stages=[(1, 16, 16, 1), (1, 32, 24, 2), (1, 64, 20, 2)], num_classes=10,
                                    stem_width=8, groups=16, stem_pool=True)),       # 1, 2, 4 per group
    "bottleneck_g32": (15, 19, dict(stages=[(1, 128, 16, 1)], num_classes=2, stem_width=4, groups=32,
                                    stem_kernel=7, stem_stride=2, stem_pool=True)),  # 4 per group, as 32x4d
    # convolutions with biases before their batch norms
    "basic_bias": (9, 13, dict(stages=[(1, 0, 8, 1), (1, 0, 12, 2)], num_classes=5, stem_width=8, bottleneck=False, bias=True)),
    "bottleneck_bias": (11, 7, dict(stages=[(2, 8, 12, 1), (1, 16, 24, 2)], num_classes=7, stem_width=6, groups=4, bias=True)),
    # shortcuts without weights
    "option_a": (13, 10, dict(stages=[(1, 0, 6, 1), (2, 0, 12, 2), (1, 0, 26, 2)], num_classes=5, stem_width=6,
                              bottleneck=False, shortcut="a")),
    "option_a_end": (9, 11, dict(stages=[(1, 0, 5, 1), (1, 0, 12, 2), (1, 0, 18, 2)], num_classes=5, stem_width=5,
                                 bottleneck=False, shortcut="a-end")),
    "option_a_wide": (8, 8, dict(stages=[(1, 8, 20, 1), (1, 8, 36, 2)], num_classes=3, stem_width=4, groups=2, shortcut="a")),
}


def record_outputs(model):
    outputs = {}

    def hook(name):
        def keep(module, inputs, output):
            outputs[name] = output.clone()
        return keep

    for name, m in model.named_modules():
        whole = name == "" or re.fullmatch(r"layer\d+", name) or name.endswith(".downsample")
        if whole or name.endswith(".relu") or isinstance(m, nn.Identity):
            continue  # a block's ReLU is one module called several times
        m.register_forward_hook(hook(name))
    return outputs


def make(folder, name, height, width, arguments, seed):
    torch.manual_seed(seed)
    model = make_weights(Network(**arguments), seed, torch.randn(16, 3, height, width))
    outputs = record_outputs(model)
    x = torch.randn(2, 3, height, width)
    with torch.no_grad():
        model(x)

    tensors = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    recipe = model.recipe
    metadata = {
        "architecture": "tiny_" + name,
        "input_size": f"{height}x{width}",
        "resize_size": str(min(height, width)),
        "mean": "0.485,0.456,0.406",
        "std": "0.229,0.224,0.225",
        "interpolation": "bilinear",
        "stem_stride": str(recipe["stem_stride"]),
        "stem_pool": "true" if recipe["stem_pool"] else "false",
        "stage_strides": ",".join(str(s) for s in recipe["stage_strides"]),
    }
    if recipe["shortcut"]:
        metadata["shortcut"] = recipe["shortcut"]
    path = os.path.join(folder, name + ".safetensors")
    write_safetensors(path, tensors, metadata)
    write_safetensors(os.path.join(folder, name + ".outputs.safetensors"), {"input": x, **outputs}, {})
    size = os.path.getsize(path)
    spread = ", ".join(f"{k} {outputs[k].abs().max():.2f}" for k in ("conv1", "layer1.0", "avgpool", "fc"))
    print(f"{name:16} {len(outputs):3} outputs {size:7} bytes; largest magnitudes: {spread}")
    if size > LIMIT:
        sys.exit(f"{path}: larger than {LIMIT} bytes")


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers")
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    for seed, (name, (height, width, arguments)) in enumerate(NETWORKS.items(), start=1):
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            make(folder, name, height, width, arguments, seed)


if __name__ == "__main__":
    main()
