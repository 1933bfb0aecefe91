"""One workload in PyTorch on a GPU, as bench/ar-bench-gpu.cpp has it; prints one line of JSON. bench/compare_gpu.py calls
it. With --device cpu it runs anywhere, to try it out."""
import argparse
import json
import os
import time

import torch
import torchvision
from torch import nn

from pytorch_worker import LAST, LRCN, nets, network

# f32 as ours is unless AR_CUDA_TF32=1 (products are so already)
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = os.environ.get("AR_CUDA_TF32") == "1"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def compiled(module, o):
    return torch.compile(module) if o.variant == "compile" else module


def autocast(o):
    return torch.autocast(o.device, dtype=torch.bfloat16, enabled=o.precision == "bf16")


def images(o):
    return torch.randn(o.batch, 3, o.size, o.size, device=o.device).contiguous(memory_format=LAST)


def training(o):
    """Weights f32, activations bf16 under autocast; SGD with momentum, fused."""
    model, x = network(o.network).to(o.device).train(), images(o)
    target = torch.randint(1000, (o.batch,), device=o.device)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=o.device == "cuda" or None)
    forward = compiled(model, o)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with autocast(o):
            loss = nn.functional.cross_entropy(forward(x), target)
        loss.backward()
        optimiser.step()
    return step


def halved(o):
    model = network(o.network).to(o.device).eval()
    return model.bfloat16() if o.precision == "bf16" else model


def inference(o):
    """Weights and activations bf16: faster than autocast, which converts weights."""
    model = halved(o)
    x, forward = images(o).to(next(model.parameters()).dtype), compiled(model, o)

    def step():
        with torch.no_grad():
            forward(x)
    return step


def frames(o):
    """Bytes in page-locked memory to probabilities there; a result is read when the next batch has been asked for."""
    model = halved(o)
    dtype, gpu = next(model.parameters()).dtype, o.device == "cuda"
    mean, std = (torch.tensor(v, device=o.device, dtype=dtype).view(1, 3, 1, 1) for v in (MEAN, STD))
    forward = compiled(lambda bytes_: nn.functional.softmax(model((bytes_.to(dtype) / 255 - mean) / std), 1), o)
    host = [torch.randint(255, (o.batch, 3, o.size, o.size), dtype=torch.uint8).contiguous(memory_format=LAST)
            for _ in range(3)]
    host = [h.pin_memory() for h in host] if gpu else host
    aside = torch.cuda.Stream() if gpu else None
    before = []

    def step():
        host.append(host.pop(0))
        with torch.no_grad():
            if not gpu:
                forward(host[0])
                return
            with torch.cuda.stream(aside):
                bytes_ = host[0].to(o.device, non_blocking=True)
            torch.cuda.current_stream().wait_stream(aside)
            bytes_.record_stream(torch.cuda.current_stream())
            now = forward(bytes_).to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            before.append((now, event))
            if len(before) > 1:
                before.pop(0)[1].synchronize()
    return step


class SmallLRCN(nn.Module):
    """LRCN with Tiny Darknet, to try things out where DenseNet-121 takes too long."""

    def __init__(self, classes=101, units=512):
        super().__init__()
        self.features = nets.TinyDarknet().features
        self.rnn = nn.LSTM(128, units, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * units, classes)

    forward = LRCN.forward


def lrcn(o):
    """densenet121, an LSTM of 512 both ways, mean over the steps of the cross-entropy, Adam."""
    if o.network == "densenet121":
        model = LRCN()
        model.rnn = nn.LSTM(1024, 512, batch_first=True, bidirectional=True)
        model.linear = nn.Linear(1024, 101)
    else:
        model = SmallLRCN()
    model = model.to(o.device, memory_format=LAST).train()
    x = torch.randn(o.batch, 3, o.frames, o.size, o.size, device=o.device)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    target = torch.randint(101, (o.batch,), device=o.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=o.device == "cuda" or None)
    forward = compiled(model, o)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with autocast(o):
            logits = forward(x)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.repeat_interleave(o.frames))
        loss.backward()
        optimiser.step()
    return step


WORKLOADS = {"training": training, "inference": inference, "frames": frames, "lrcn": lrcn}


def measured(step, o):
    """Milliseconds from the end of one step to that of the next, sorted."""
    for _ in range(3):
        step()
    if o.device != "cuda":
        times = []
        for _ in range(o.steps):
            begin = time.perf_counter()
            step()
            times.append(1e3 * (time.perf_counter() - begin))
        return sorted(times)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(o.steps + 1)]
    events[0].record()
    for event in events[1:]:
        step()
        event.record()
    torch.cuda.synchronize()
    return sorted(a.elapsed_time(b) for a, b in zip(events, events[1:]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("batch", type=int)
    parser.add_argument("--variant", choices=["eager", "compile"], default="eager")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--network", default="densenet121")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--precision", choices=["bf16", "f32"], default="bf16")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    times = measured(WORKLOADS[options.workload](options), options)
    print(json.dumps({
        "tool": options.variant, "version": torch.__version__, "torchvision": torchvision.__version__,
        "workload": options.workload, "batch": options.batch, "median_ms": times[len(times) // 2],
        "least_ms": times[0], "most_ms": times[-1], "steps": options.steps,
        "peak_mb": torch.cuda.max_memory_allocated() / 2 ** 20 if options.device == "cuda" else 0,
    }), flush=True)
