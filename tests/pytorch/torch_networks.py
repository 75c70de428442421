"""What the comparisons against PyTorch share: a ResNeXt of any shape under torchvision's names,
seeded weights with batch-norm statistics like a trained network's, and a safetensors writer.

Needs Debian's python3-torch and python3-torchvision; nothing here runs in the product.
"""
import json
import struct

import torch
from torch import nn


class ChannelPadding(nn.Module):
    """A shortcut without weights, option A of He et al. 2015: every second row and column, zeros for the channels that
    are new, around the others ("a", as akamaster/pytorch_resnet_cifar10 has it) or after them ("a-end", as the paper)."""

    def __init__(self, channels, out, stride, kind):
        super().__init__()
        before = (out - channels) // 2 if kind == "a" else 0
        self.padding, self.stride = (0, 0, 0, 0, before, out - channels - before), stride

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::self.stride, ::self.stride], self.padding)


class Block(nn.Module):
    """torchvision's Bottleneck (expand=True) or BasicBlock, with free widths.

    The bottleneck is 1x1 to `width`, grouped 3x3 with the stride, 1x1 to `out`;
    the basic block is two 3x3 of `out` channels, the first with the stride.
    """

    def __init__(self, channels, width, out, stride, groups, bottleneck, bias=False, shortcut=None):
        super().__init__()
        if bottleneck:
            self.conv1 = nn.Conv2d(channels, width, 1, bias=bias)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=bias)
            self.conv3 = nn.Conv2d(width, out, 1, bias=bias)
            self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=bias)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=bias)
            self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.bottleneck = bottleneck
        self.relu = nn.ReLU()
        self.downsample = None
        if (stride != 1 or channels != out) and shortcut:
            self.downsample = nn.Sequential(ChannelPadding(channels, out, stride, shortcut))
        elif stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=bias), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.bottleneck:
            y = self.bn3(self.conv3(self.relu(y)))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Network(nn.Module):
    """A ResNeXt. stages: (blocks, width, out, stride) each; stem_kernel 3 or 7, padded to keep the size."""

    def __init__(self, stages, num_classes, stem_width, groups=1, bottleneck=True,
                 stem_kernel=3, stem_stride=1, stem_pool=False, bias=False, shortcut=None):
        super().__init__()
        self.recipe = {"shortcut": shortcut, "stem_stride": stem_stride, "stem_pool": stem_pool, "stage_strides": [s[3] for s in stages]}
        self.conv1 = nn.Conv2d(3, stem_width, stem_kernel, stem_stride, stem_kernel // 2, bias=bias)
        self.bn1 = nn.BatchNorm2d(stem_width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem_pool else nn.Identity()
        channels = stem_width
        self.stage_names = []
        for i, (blocks, width, out, stride) in enumerate(stages):
            layers = []
            for j in range(blocks):
                layers.append(Block(channels, width, out, stride if j == 0 else 1, groups, bottleneck, bias, shortcut))
                channels = out
            self.stage_names.append(f"layer{i + 1}")
            self.add_module(self.stage_names[-1], nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stage_names:
            x = getattr(self, name)(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def cifar_network():
    """The ten-class model's architecture, resnext20_16x4d_cifar10."""
    return Network([(2, 64, 256, 1), (2, 128, 512, 2), (2, 256, 1024, 2)], num_classes=10, stem_width=64,
                   groups=16, stem_pool=True)


def everyday_network():
    """The bundled model's architecture, resnext26_32x4d_everyday."""
    return Network([(2, 128, 256, 1), (3, 256, 512, 2), (3, 512, 1024, 2)], num_classes=105, stem_width=64,
                   groups=32, stem_pool=True)


def make_weights(model, seed, pictures):
    """Seeded weights that keep activations in range, with the uneven statistics of a trained network.

    He-normal convolutions; affine parameters with a spread and a few negative scales; running statistics
    first measured on `pictures` [n][3][h][w] (so that every layer's output has a sensible size), then
    disturbed, so that an implementation cannot pass by leaving anything out.
    """
    g = torch.Generator().manual_seed(seed)
    norms = []
    for name, m in model.named_modules():
        if isinstance(m, nn.Conv2d):
            fan_in = m.weight[0].numel()
            m.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=g)
            if m.bias is not None:
                m.bias.data.normal_(0, 0.5, generator=g)
        elif isinstance(m, nn.BatchNorm2d):
            # The residual branch is kept smaller than the trunk: deep sums must not explode.
            last = name.endswith("bn3") or (name.endswith("bn2") and not hasattr(_parent(model, name), "bn3"))
            scale = 0.4 if last else 1.0
            m.weight.data.uniform_(0.5 * scale, 1.5 * scale, generator=g)
            flip = torch.rand(m.weight.shape, generator=g) < 0.05
            m.weight.data[flip] *= -1
            m.bias.data.normal_(0, 0.2, generator=g)
            norms.append(m)
    model.fc.weight.data.normal_(0, 2 / model.fc.weight.shape[1] ** 0.5, generator=g)
    model.fc.bias.data.normal_(0, 0.5, generator=g)

    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # plain average over the calls below
    model.train()
    with torch.no_grad():
        model(pictures)
    for m in norms:
        m.momentum = 0.1
        m.running_mean += 0.2 * m.running_var.sqrt() * torch.randn(m.running_mean.shape, generator=g)
        m.running_var *= torch.exp(0.3 * torch.randn(m.running_var.shape, generator=g))
    return model.eval()


def _parent(model, name):
    for part in name.split(".")[:-1]:
        model = getattr(model, part)
    return model


def write_safetensors(path, tensors, metadata):
    """tensors: name -> float32 tensor; metadata: name -> str. The format is 8 bytes of little-endian
    header length, a JSON header padded with spaces to a multiple of 8, then the data without gaps."""
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, t in tensors.items():
        data = t.detach().contiguous().to(torch.float32).numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    """float32 tensors and the metadata of a file as write_safetensors writes it."""
    import numpy
    with open(path, "rb") as f:
        data = f.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    types = {"F32": numpy.float32, "F16": numpy.float16}
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + x for x in entry["data_offsets"])
        array = numpy.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.astype(numpy.float32))
    return tensors, metadata
