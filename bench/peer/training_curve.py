#!/usr/bin/env python3
"""Trains with ar-train-image and with PyTorch, from the same weights on the same batches, and compares the losses.

    bench/peer/training_curve.py --bin build/release/bin --data-dir FOLDER [--model densenet121] [--steps 20]

The images are first brought to the network's size and stored without loss, so that both sides see the same bytes. The
recipe is ar-train-image's default (SGD, momentum 0.9, weight decay 4e-5) without dropout and augmentation, at a rate of
1e-4: at 1e-3 with batches of 8 a fresh DenseNet amplifies rounding about twofold with each step. Exits with 1 when a loss
differs by more than 1e-3 of PyTorch's.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import torchvision
from PIL import Image

SHUFFLE = 2  # io/dataset.h: RandomStream::shuffle


def philox(counter, key):
    """Philox-4x32-10 (tensor/philox.h)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def order_of_epoch(size, seed, epoch):
    """io::shuffled: Fisher & Yates, with the numbers of the key (seed, epoch)."""
    key = philox([epoch, 0, 0, 0], [seed & 0xFFFFFFFF, seed >> 32])[:2]
    numbers = (number for block in range(size) for number in philox([block, SHUFFLE, 0, 0], key))
    order = list(range(size))
    for i in range(size - 1, 0, -1):
        j = (next(numbers) << 32 | next(numbers)) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return order


def prepare(source, target, size, per_class):
    """Squashed PNG copies; returns (path, label) in ar-train-image's order."""
    samples = []
    for label, folder in enumerate(sorted(p for p in source.iterdir() if p.is_dir())):
        (target / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:per_class]:
            copy = target / folder.name / (file.stem + ".png")
            Image.open(file).convert("RGB").resize((size, size), Image.BILINEAR).save(copy)
            samples.append((copy, label))
    return sorted(samples, key=lambda s: (s[1], s[0].name.encode()))


def ours(args, data, work):
    command = [args.bin / "ar-train-image", "--data-dir", data, "--feature-extractor", args.model, "--pretrained", "none",
               "--image-size", args.size, "--batch-size", args.batch_size, "--learning-rate", args.learning_rate,
               "--validation-split", 0, "--augment", "none", "--dropout", 0, "--seed", args.seed]
    start = work / "start.pt"
    subprocess.run([str(x) for x in command + ["--epochs", 0, "--save-checkpoint", start]], check=True)
    subprocess.run([str(x) for x in command + ["--epochs", 1, "--save-checkpoint", work / "end.pt",
                                               "--logdir", work / "log"]], check=True)
    lines = [json.loads(line) for line in open(work / "log" / "metrics.jsonl")]
    return work / "start.last.pt", [line["loss"] for line in lines if line["split"] == "steps"]


def theirs(args, samples, weights):
    state = torch.load(weights, weights_only=True)
    model = torchvision.models.get_model(args.model, num_classes=len(state["class_names"]))
    model.load_state_dict(state["model"])
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate, momentum=0.9, weight_decay=4e-5)
    normalise = torchvision.transforms.Compose([torchvision.transforms.ToTensor(),
                                                torchvision.transforms.Normalize(state["mean"], state["std"])])
    order, losses = order_of_epoch(len(samples), args.seed, 0), []
    for begin in range(0, len(order), args.batch_size):
        batch = [samples[i] for i in order[begin:begin + args.batch_size]]
        images = torch.stack([normalise(Image.open(path)) for path, _ in batch])
        loss = torch.nn.functional.cross_entropy(model(images.contiguous(memory_format=torch.channels_last)),
                                                 torch.tensor([label for _, label in batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="densenet121")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        classes = sum(p.is_dir() for p in args.data_dir.iterdir())
        samples = prepare(args.data_dir, work / "data", args.size, -(-args.steps * args.batch_size // classes))
        weights, a = ours(args, work / "data", work)
        b = theirs(args, samples, weights)
    print(f"{'step':>4} {'ar':>10} {'PyTorch':>10} {'relative':>9}")
    worst = 0
    for step, (x, y) in enumerate(zip(a[:args.steps], b), 1):
        worst = max(worst, abs(x - y) / abs(y))
        print(f"{step:4} {x:10.6f} {y:10.6f} {abs(x - y) / abs(y):9.1e}")
    print(f"worst of {min(len(a), args.steps)} steps: {worst:.1e}")
    return worst > 1e-3 or len(a) < args.steps


if __name__ == "__main__":
    sys.exit(main())
