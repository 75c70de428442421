#!/usr/bin/env python3
"""Top-1 and top-5 of a model over a PyTorch DataLoader: evaluate.py MODEL FOLDER [BATCH]

FOLDER has a folder of pictures for each class, named as the model's labels. PyTorch loads and normalises the pictures, with
its own workers; Cardinal classifies the tensors on a GPU of any vendor, one batch while the next is being loaded. Needs
cardinal_vk, and PyTorch and torchvision (Debian: python3-torch, python3-torchvision).
"""
import os
import sys

import numpy as np
import torch
from torchvision import datasets, transforms

import cardinal_vk as cardinal


def dataset(folder, model):
    """The folder's pictures as the model wants them; their classes are the model's, by label."""
    info, names = model.info, model.labels
    if names is None:
        sys.exit("the model has no labels")
    modes = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}
    prepare = transforms.Compose([
        transforms.Resize(info.resize_size, modes[info.interpolation]), transforms.CenterCrop((info.input_height, info.input_width)),
        transforms.ToTensor(), transforms.Normalize(info.mean, info.std)])
    found = datasets.ImageFolder(folder, prepare)
    unknown = sorted(set(found.classes) - set(names))
    if unknown:
        sys.exit(f"{os.path.join(folder, unknown[0])}: the model has no class of this name")
    found.target_transform = lambda index: names.index(found.classes[index])
    return found


def evaluate(session, loader):
    """(top-1, top-5, images) over (tensors float32 [n][3][height][width], classes [n]) of the loader."""
    right1 = right5 = total = 0
    waiting = {}  # slot: classes of the batch in flight there

    def take(slot):
        nonlocal right1, right5, total
        classes = waiting.pop(slot)
        best = np.argsort(-session.wait(slot).logits, axis=1)[:, :5]
        hits = best == np.asarray(classes)[:, None]
        right1, right5, total = right1 + hits[:, 0].sum(), right5 + hits.sum(), total + len(classes)

    for i, (tensors, classes) in enumerate(loader):
        slot = i % session.info.num_slots
        if slot in waiting:
            take(slot)
        session.submit(tensors, slot)  # the tensor's own memory: nothing is copied in Python
        waiting[slot] = classes
    for slot in list(waiting):
        take(slot)
    return right1 / total, right5 / total, total


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    batch = int(sys.argv[3]) if len(sys.argv) > 3 else 8
    try:
        with cardinal.Device() as device, cardinal.Model(sys.argv[1]) as model:
            loader = torch.utils.data.DataLoader(dataset(sys.argv[2], model), batch, num_workers=1)
            session = cardinal.Session(device, model, max_batch=batch, num_slots=2)
            top1, top5, images = evaluate(session, loader)
            print(f"{images} images on {device.info.name}: top-1 {100 * top1:.2f} %, top-5 {100 * top5:.2f} %")
    except (cardinal.Error, OSError) as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
