"""One workload in PyTorch, tuned; prints one line of JSON. bench/compare.py sets the environment and calls it."""
import argparse
import pathlib
import sys
import time

import torch
import torchvision
from torch import nn

import measure

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures"))
import nets  # caffenet and tiny_darknet, which torchvision does not have

LAST = torch.channels_last
SIZES = {"caffenet": 227}


def network(name="densenet121"):
    own = {"caffenet": nets.CaffeNet, "tiny_darknet": nets.TinyDarknet}
    model = own[name]() if name in own else getattr(torchvision.models, name)(weights=None)
    return model.to(memory_format=LAST)


def images(batch, name="densenet121"):
    size = SIZES.get(name, 224)
    return torch.randn(batch, 3, size, size).contiguous(memory_format=LAST)


def inference(batch, variant, name):
    """A network, f32. -> a step, images per step, unit"""
    model, x = network(name).eval(), images(batch, name)
    with torch.inference_mode(variant != "compile"), torch.no_grad():
        if variant == "jit":
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
        elif variant == "compile":  # with weights frozen the compiler folds the norms
            from torch._inductor import config
            config.freezing = True
            model = torch.compile(model)

    def step():
        with torch.no_grad() if variant == "compile" else torch.inference_mode():
            model(x)
    return step, batch, "images/s"


def inference_bf16(batch, variant, name):
    """The same with weights and activations of bf16."""
    model, x = network(name).eval().bfloat16(), images(batch, name).bfloat16()
    with torch.inference_mode():
        if variant == "jit":
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))

    def step():
        with torch.inference_mode():
            model(x)
    return step, batch, "images/s"


def training_bf16(batch, variant, name):
    """Training under autocast: weights f32, activations bf16."""
    model, x, target = network(name).train(), images(batch, name), torch.randint(1000, (batch,))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimiser.step()
    return step, batch, "images/s"


def training(batch, variant, name):
    """Forward, cross-entropy, backward, SGD with momentum."""
    model, x, target = network(name).train(), images(batch, name), torch.randint(1000, (batch,))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    forward = torch.compile(model) if variant == "compile" else model

    def step():
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(forward(x), target).backward()
        optimiser.step()
    return step, batch, "images/s"


class LRCN(nn.Module):
    """DenseNet-121's features of each frame, an LSTM over the frames, a linear layer at each step."""

    def __init__(self, classes=101, units=512):
        super().__init__()
        self.features = torchvision.models.densenet121(weights=None).features
        self.rnn = nn.LSTM(1024, units, batch_first=True)
        self.linear = nn.Linear(units, classes)

    def forward(self, x):
        b, c, t, h, w = x.shape
        frames = x.transpose(1, 2).reshape(b * t, c, h, w)  # a view of B,T,H,W,C memory: channels-last frames
        features = nn.functional.relu(self.features(frames), inplace=True).mean((2, 3))
        return self.linear(self.rnn(features.view(b, t, -1))[0])


def lrcn(batch, variant, name):
    """Clips of 16 frames at 224, mean over the steps of the cross-entropy, Adam."""
    frames = 16
    model = LRCN().to(memory_format=LAST).train()
    x = torch.randn(batch, 3, frames, 224, 224).contiguous(memory_format=torch.channels_last_3d)
    target = torch.randint(101, (batch,))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    forward = torch.compile(model) if variant == "compile" else model

    def step():
        optimiser.zero_grad(set_to_none=True)
        logits = forward(x)
        nn.functional.cross_entropy(logits.flatten(0, 1), target.repeat_interleave(frames)).backward()
        optimiser.step()
    return step, batch, "clips/s"


def lstm(batch, variant, name, **shape):
    """Forward and backward of 16 steps, 1024 -> 512."""
    layer, x = nn.LSTM(1024, 512, batch_first=True, **shape), torch.randn(batch, 16, 1024, requires_grad=True)
    gradient = torch.randn(layer(x)[0].shape)

    def step():
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x)[0].backward(gradient)
    return step, batch, "sequences/s"


def lstm2(batch, variant, name):
    """The same of two layers that read both ways."""
    return lstm(batch, variant, name, num_layers=2, bidirectional=True)


def gemm(batch, variant, name):
    """Square matrices of `batch` rows."""
    a, b = torch.randn(batch, batch), torch.randn(batch, batch)
    c = torch.empty(batch, batch)

    def step():
        with torch.inference_mode():
            torch.mm(a, b, out=c)
    return step, 2e-9 * batch ** 3, "GFLOP/s"


def relu(batch, variant, name):
    """max(x, 0) over 4 * `batch` MB, read and written."""
    x = torch.randn(batch * 2 ** 20)
    y = torch.empty_like(x)

    def step():
        with torch.inference_mode():
            torch.clamp_min(x, 0, out=y)
    return step, 8e-9 * x.numel(), "GB/s"


def first(arguments):
    """From an empty process to the first result: weights from a file, one image."""
    if arguments.save:
        torch.save(network().state_dict(), arguments.file)
        return
    model = torchvision.models.densenet121(weights=None, progress=False)
    model.load_state_dict(torch.load(arguments.file))
    model = model.to(memory_format=LAST).eval()
    start = time.perf_counter()
    with torch.inference_mode():
        model(images(arguments.batch))
    print(measure.json.dumps({"tool": "pytorch", "workload": "first", "inference": time.perf_counter() - start}), flush=True)


WORKLOADS = {f.__name__: f for f in (inference, inference_bf16, training, training_bf16, lrcn, lstm, lstm2, gemm, relu)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=[*WORKLOADS, "first"], required=True)
    parser.add_argument("--network", default="densenet121", help="of inference and training")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--variant", choices=["eager", "jit", "compile"], default="eager")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--file", help="weights, for `first`")
    parser.add_argument("--save", action="store_true", help="`first`: only write the file")
    arguments = parser.parse_args()
    torch.set_num_threads(measure.threads())
    libraries = measure.peak_rss_mb()
    torch.manual_seed(0)
    if arguments.workload == "first":
        first(arguments)
    else:
        step, work, unit = WORKLOADS[arguments.workload](arguments.batch, arguments.variant, arguments.network)
        result = measure.measure(step, arguments.samples, warmup=2 if arguments.workload in ("training", "training_bf16", "lrcn") else 4)
        measure.report("pytorch", torch.__version__, arguments, unit, work, result, variant=arguments.variant,
                       libraries_mb=libraries)
