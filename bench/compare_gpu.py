#!/usr/bin/env python3
"""Runs the library (steps of training as an nn::StepGraph, and launch by launch) and PyTorch (eager with automatic bf16
and channels-last images, and torch.compile) in turn on the same GPU, each run a process of its own, and prints
milliseconds a step (medians, by events of the device), peak memory and ratios.

    bench/compare_gpu.py --build build/gpu_check/ar --python ~/venv/bin/python
    bench/compare_gpu.py --workloads training:32 --rounds 3
    AR_CUDA_LIBRARY=build/release/lib/libar_cuda_plain.so bench/compare_gpu.py --network tiny_darknet --size 32 \\
        --frames 2 --steps 2 --rounds 1 --workloads training:2,frames:2 --peer-device cpu     tries it out without a GPU

PyTorch is left out, with a line that says so, where the Python has none or it sees no GPU. What the time is not enough for
(--budget) is left out too: torch.compile first, as it takes a minute a workload.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKER = ROOT / "bench" / "peer" / "pytorch_gpu_worker.py"
DEFAULT = "training:32,training:128,inference:32,inference:128,lrcn:4,lrcn:24,frames:64"
TITLES = {"ar": "ours", "plain": "ours, launch by launch", "eager": "PyTorch", "compile": "PyTorch compile"}


class Runner:
    def __init__(self, options):
        self.options = options
        self.end = time.monotonic() + options.budget
        self.slowest = {}  # tool -> seconds of its longest run
        self.gone = set()  # tools that cannot run here

    def run(self, tool, workload, batch):
        """-> what the run measured, or none"""
        o = self.options
        left = self.end - time.monotonic()
        if tool in self.gone or left < self.slowest.get(tool, 0):
            return None
        common = [workload, str(batch), "--network", o.network, "--size", str(o.size), "--frames", str(o.frames), "--steps",
                  str(o.steps), "--precision", o.precision]
        if tool in ("ar", "plain"):
            command = [str(pathlib.Path(o.build) / "bin" / "ar-bench-gpu"), *common, "--device", o.device, "--graph",
                       "on" if tool == "ar" else "off"]
        else:
            command = [o.python, str(WORKER), *common, "--variant", tool, "--device", o.peer_device]
        begin = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=max(left, 1), cwd=ROOT)
        except subprocess.TimeoutExpired:
            print(f"{TITLES[tool]}, {workload}:{batch}: not ready within the budget", flush=True)
            self.slowest[tool] = max(self.slowest.get(tool, 0), left)
            return None
        except OSError as e:
            print(f"{TITLES[tool]}: {e}", flush=True)
            self.gone.add(tool)
            return None
        self.slowest[tool] = max(self.slowest.get(tool, 0), time.monotonic() - begin)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            print(f"{TITLES[tool]}, {workload}:{batch}: {reason}", flush=True)
            if "ModuleNotFoundError" in reason or "NVIDIA driver" in reason:
                self.gone.add(tool)
            return None
        return json.loads(done.stdout.strip().splitlines()[-1]) | {"tool": tool}


def table(results, workloads):
    """One line for each workload: medians of the rounds, and how many times longer, or larger, the others are."""
    def middle(workload, batch, tool, key):
        values = [r[key] for r in results if (r["workload"], r["batch"], r["tool"]) == (workload, batch, tool)]
        return statistics.median(values) if values else None

    def text(value, pattern="{:.2f}"):
        return pattern.format(value) if value else "-"

    lines = ["| workload | batch | ours, ms | launch by launch, ms | PyTorch, ms | ratio | compile, ms | ratio | ours, MiB | PyTorch, MiB | ratio |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for workload, batch in workloads:
        ours, plain, eager, compiled = (middle(workload, batch, t, "median_ms") for t in ("ar", "plain", "eager", "compile"))
        our_mb, eager_mb = (middle(workload, batch, t, "peak_mb") for t in ("ar", "eager"))
        ratio = lambda a, b: text(a / b if a and b else None, "{:.2f}x")
        lines.append("| " + " | ".join([
            workload, str(batch), text(ours), text(plain), text(eager), ratio(eager, ours), text(compiled), ratio(compiled, ours),
            text(our_mb, "{:.0f}"), text(eager_mb, "{:.0f}"), ratio(eager_mb, our_mb)]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"), help="folder with bin/ar-bench-gpu")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and torchvision")
    parser.add_argument("--workloads", default=DEFAULT, help="NAME:BATCH,...")
    parser.add_argument("--tools", default="ar,plain,eager,compile")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="that are timed, after a few")
    parser.add_argument("--budget", type=float, default=900, help="seconds")
    parser.add_argument("--device", default="cuda", help="of ours")
    parser.add_argument("--peer-device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--network", default="densenet121")
    parser.add_argument("--size", type=int, default=224, help="side of the images")
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "f32"])
    parser.add_argument("--out", help="file for the raw results, JSON")
    options = parser.parse_args()
    workloads = [(name, int(batch)) for name, batch in (w.split(":") for w in options.workloads.split(","))]
    tools = options.tools.split(",")
    runner, results = Runner(options), []
    # What compiles comes last, once: it takes long to begin with.
    for names in ([t for t in tools if t != "compile"], [t for t in tools if t == "compile"]):
        for _ in range(options.rounds if "compile" not in names else 1):
            for workload, batch in workloads:
                for tool in names:
                    if tool == "plain" and workload in ("inference", "frames"):
                        continue  # there is no step to record
                    if result := runner.run(tool, workload, batch):
                        results.append(result)
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1) + "\n")
    print(table(results, workloads))
    if "ar" in tools and not any(r["tool"] == "ar" for r in results):
        sys.exit("error: ours gave no result")


if __name__ == "__main__":
    main()
