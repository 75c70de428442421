#!/usr/bin/env python3
"""Makes tests/golden/gradients/*.safetensors: what one training step gives in PyTorch, for the networks of make_layers.py.

NAME.safetensors holds, of tests/golden/layers/NAME.safetensors in training mode: `loss` [1], the gradient of every
parameter under the parameter's name, and the running statistics after the step, computed in 64 bits and rounded once to
32. The batch is 8 pictures of uniform numbers -2 ... 2 and labels, both by splitmix64, as tests/device/test_train.c makes
them; the loss is cross-entropy with label smoothing 0.1.

mixed/NAME.safetensors holds the same of mixed precision: the input, the weights of convolutions and of the last layer, and
what convolutions, ReLUs and a shortcut's batch norm give are rounded to halves, gradients passing through as if they were
not. Rounding decides on which side of 0 a value near it lies, and with it on gradients: in networks of a few pixels one
such value changes some by a tenth. So batch norm's biases are moved first, by -4 in every fourth channel and by 4 in the
others: few values are left that are near 0.

Run it by hand, with Debian's python3-torch, when a network changes; its files are committed.
"""
import os
import sys

import numpy
import torch
import torch.nn.utils.parametrize

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pytorch"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_layers import NETWORKS
from torch_networks import Network, read_safetensors, write_safetensors

IMAGES, PIXEL_SEED, LABEL_SEED, SMOOTHING = 8, 1, 2, 0.1


def random_bits(seed, count):
    """engine/base/random.h's numbers 0 ... count - 1."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9e3779b97f4a7c15)
        z = (z ^ z >> numpy.uint64(30)) * numpy.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ z >> numpy.uint64(27)) * numpy.uint64(0x94d049bb133111eb)
        return z ^ z >> numpy.uint64(31)


def batch(height, width, classes):
    bits = random_bits(PIXEL_SEED, IMAGES * 3 * height * width)
    pixels = (bits >> numpy.uint64(40)).astype(numpy.float64) / 2**22 - 2
    labels = random_bits(LABEL_SEED, IMAGES) % numpy.uint64(classes)
    return torch.from_numpy(pixels.reshape(IMAGES, 3, height, width)), torch.from_numpy(labels.astype(numpy.int64))


def halves(x):
    """Rounded to half precision; its gradient passes."""
    return x + (x.detach().half().to(x.dtype) - x.detach())


class Halves(torch.nn.Module):
    def forward(self, x):
        return halves(x)


def store_as_halves(model):
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.bias.data += torch.where(torch.arange(len(module.bias)) % 4 == 3, -4.0, 4.0)
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ReLU)) or name.endswith("downsample.1"):
            module.register_forward_hook(lambda module, inputs, output: halves(output))
    for module in list(model.modules()):
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.utils.parametrize.register_parametrization(module, "weight", Halves())


def make(folder, name, mixed):
    height, width, arguments = NETWORKS[name]
    tensors, _ = read_safetensors(os.path.join(folder, "../layers", name + ".safetensors"))
    model = Network(**arguments)
    model.load_state_dict(tensors, strict=False)
    model = model.double().train()
    x, labels = batch(height, width, arguments["num_classes"])
    if mixed:
        x = halves(x)
        store_as_halves(model)
    loss = torch.nn.functional.cross_entropy(model(x), labels, label_smoothing=SMOOTHING)
    loss.backward()
    out = {"loss": loss.reshape(1)}
    out.update((k.replace("parametrizations.weight.original", "weight"), p.grad) for k, p in model.named_parameters())
    out.update((k, b) for k, b in model.named_buffers() if not k.endswith("num_batches_tracked"))
    write_safetensors(os.path.join(folder, "mixed" if mixed else "", name + ".safetensors"), out, {})
    print(f"{name:16} loss {loss.item():.4f}{' in mixed precision' if mixed else ''}")


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gradients")
    os.makedirs(os.path.join(folder, "mixed"), exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        make(folder, name, False)
        make(folder, name, True)


if __name__ == "__main__":
    main()
