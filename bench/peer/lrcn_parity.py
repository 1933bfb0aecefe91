"""Ten training steps of LRCN(densenet121), here and in PyTorch, from the same weights on the same clips.

usage: lrcn_parity.py PATH/ar-bench-lrcn-steps [--size 64]
Prints both losses of each step and fails where they differ by more than 1e-3 of their size."""
import argparse
import subprocess
import sys
import tempfile

import torch
import torchvision
from safetensors.torch import save_file


class LRCN(torch.nn.Module):
    def __init__(self, classes, units):
        super().__init__()
        self.feature_extractor = torchvision.models.densenet121(weights=None)
        self.feature_extractor.classifier = torch.nn.Identity()
        self.rnn = torch.nn.LSTM(1024, units, batch_first=True)
        self.head = torch.nn.ModuleDict({"linear": torch.nn.Linear(units, classes)})

    def loss(self, clips, targets):
        batch, steps = clips.shape[0], clips.shape[2]
        frames = clips.transpose(1, 2).flatten(0, 1)
        states, _ = self.rnn(self.feature_extractor(frames).reshape(batch, steps, -1))
        scores = self.head["linear"](states).flatten(0, 1)
        return torch.nn.functional.cross_entropy(scores, targets.repeat_interleave(steps))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--frames", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = LRCN(101, 512)
    clips, targets = torch.randn(4, 3, args.frames, args.size, args.size), torch.randint(101, (4,))
    state = {k: v.contiguous().clone() for k, v in net.state_dict().items()}
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        save_file({**state, "clips": clips, "targets": targets}, file.name)
        ours = [float(x) for x in subprocess.run([args.program, file.name], check=True, stdout=subprocess.PIPE, text=True).stdout.split()]
    optimizer = torch.optim.SGD(net.parameters(), lr=3e-4, momentum=0.9)
    worst = 0
    for step, mine in enumerate(ours):
        optimizer.zero_grad()
        loss = net.loss(clips, targets)
        loss.backward()
        optimizer.step()
        worst = max(worst, abs(mine - loss.item()) / abs(loss.item()))
        print(f"step {step + 1:2}: {mine:.6f} here, {loss.item():.6f} in PyTorch")
    print(f"largest relative difference {worst:.2e}")
    return 0 if worst < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
