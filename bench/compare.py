#!/usr/bin/env python3
"""Runs the library, PyTorch and ONNX Runtime in turn (A B C A B C ...), each run a process of its own, and prints rates,
ratios, shares of the machine's peak (measured before every run) and peak memory.

    bench/compare.py --python ~/venv/bin/python                    everything, as in docs/benchmarks.md
    bench/compare.py --workloads inference:1,training:8 --rounds 1 --samples 2
    bench/compare.py --workloads resnet18/inference:8,mobilenet_v2/training:8     of other networks than DenseNet-121
    bench/compare.py --isa avx2                                    all tools held to AVX2
    bench/compare.py --workloads "" --write docs/benchmarks.md     only writes the table of what was measured so far

Needs a build (cmake --build --preset release) and a Python with bench/peer/requirements.txt; tools that are missing are
left out, with a line that says so. Raw results are kept in BUILD/bench/*.json, one file for each workload: measuring one
again replaces it.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = ROOT / "bench" / "peer"
TORCH = ("eager", "jit", "compile")
TITLES = {"ar": "ours", "eager": "PyTorch", "jit": "PyTorch jit", "compile": "PyTorch compile", "onnxruntime": "ONNX Runtime"}
TOOLS = {
    "inference": ("ar", "eager", "jit", "compile", "onnxruntime"),
    "inference_bf16": ("ar", "eager", "jit"),
    "training": ("ar", "eager", "compile"),
    "training_bf16": ("ar", "eager"),
    "lrcn": ("ar", "eager", "compile"),
    "lstm": ("ar", "eager"),
    "lstm2": ("ar", "eager"),
    "gemm": ("ar", "eager"),
    "relu": ("ar", "eager"),
    "first": ("ar", "eager", "onnxruntime"),
    "start": ("ar",),
}
DEFAULT = ("inference:1,inference:8,inference:32,inference_bf16:1,inference_bf16:8,inference_bf16:32,"
           "training:8,training:32,training_bf16:8,training_bf16:32,"
           "lrcn:4,lstm:4,lstm:32,lstm2:4,lstm2:32,gemm:512,gemm:2048,relu:64,first,start")

# Operations of one unit, a multiply-add counting two. DenseNet-121 at 224 does 5.667 GFLOP an image; training takes three
# times that less the gradient of the images. An LSTM does 4 * units * (inputs + units) multiply-adds a step.
# Other networks: what ar-bench counted.
IMAGE, TRAINED_IMAGE = 5.667, 3 * 5.667 - 0.236
LSTM_STEP = 3 * 2e-9 * 4 * 512 * (1024 + 512)  # of lstm2: both layers read 1024 numbers, each both ways
GFLOP = {"inference": IMAGE, "inference_bf16": IMAGE, "training": TRAINED_IMAGE, "training_bf16": TRAINED_IMAGE, "lrcn": 16 * (TRAINED_IMAGE + LSTM_STEP), "lstm": 16 * LSTM_STEP,
         "lstm2": 4 * 16 * LSTM_STEP, "gemm": 1}


def split(workload):
    """"resnet18/inference" -> ("resnet18", "inference")"""
    network, _, kind = workload.rpartition("/")
    return network or "densenet121", kind


TUNED = {  # PyTorch and ONNX Runtime alone: threads stay on their cores, freed memory is kept for the next step
    "OMP_PROC_BIND": "true",
    "MALLOC_MMAP_THRESHOLD_": str(2 ** 32),
    "MALLOC_TRIM_THRESHOLD_": str(2 ** 34),
}
# Older instructions than the processor has. PyTorch's convolutions and products are oneDNN's and MKL's, which choose by
# themselves; ONNX Runtime cannot be held back and is left out.
HELD_BACK = {"avx2": {"ar": {"AR_CPU": "avx2"},
                      "pytorch": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}}}


def environment(program, threads, isa=None):
    """What a process is given: "ar" runs as a user runs it, "pytorch" and "onnxruntime" are tuned."""
    base = {k: v for k, v in os.environ.items() if k not in TUNED}
    more = {"AR_NUM_THREADS": str(threads)} if program == "ar" else TUNED | {"OMP_NUM_THREADS": str(threads)}
    return base | more | (HELD_BACK[isa][program] if isa else {})


class Runner:
    def __init__(self, options):
        self.options = options
        self.program = pathlib.Path(options.build) / "bin" / "ar-bench"
        self.folder = pathlib.Path(options.build) / "bench" / (options.isa or "")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.missing = set()

    def call(self, command, threads=None):
        """-> (the last line of output, seconds from the start of the process until it printed that, error text)"""
        program = "ar" if command[0] == self.program else "onnxruntime" if command[1].name.startswith("onnx") else "pytorch"
        start = time.perf_counter()
        with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment(program, threads or self.options.threads, self.options.isa), cwd=ROOT) as process:
            try:
                out, error = process.communicate(timeout=self.options.timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                return None, 0, f"ran longer than {self.options.timeout} s"
        seconds = time.perf_counter() - start
        return (out.strip().splitlines() or [""])[-1] if process.returncode == 0 else None, seconds, error.strip()

    def command(self, tool, workload, batch):
        if tool == "ar":
            if workload == "start":
                return [self.program, "--version"]
            if workload == "first":
                return [self.program, "first", self.prepared(tool)]
            return [self.program, workload, batch, self.options.samples]
        network, kind = split(workload)
        common = ["--workload", kind, "--network", network, "--batch", batch, "--samples", self.options.samples]
        if tool == "onnxruntime":
            return [self.options.python, PEER / "onnxruntime_worker.py", *common, "--file", self.prepared(tool, network)]
        command = [self.options.python, PEER / "pytorch_worker.py", *common, "--variant", tool]
        return command + (["--file", self.prepared(tool)] if workload == "first" else [])

    def prepared(self, tool, network="densenet121"):
        """The file of weights that this tool loads, made when it is not there."""
        path = self.folder / (network + {"ar": ".raw", "eager": ".pt", "onnxruntime": ".onnx"}[tool])
        if not path.exists():
            if tool == "ar":
                command = [self.program, "save", path]
            else:
                worker = {"eager": "pytorch", "onnxruntime": "onnxruntime"}[tool]
                command = [self.options.python, PEER / f"{worker}_worker.py", "--workload", "first", "--network", network, "--file", path, "--save"]
            line, _, error = self.call(command)
            if line is None:
                print(f"  {TITLES[tool]}: {path.name} could not be made: {error[-300:]}", file=sys.stderr)
        return path

    def run(self, tool, workload, batch):
        """One process -> its line of JSON as a dict, or None."""
        command = self.command(tool, workload, batch)
        line, seconds, error = self.call(command)
        if line is None:
            print(f"  {TITLES[tool]} did not run: {(error.splitlines() or ['no message'])[-1]}", file=sys.stderr)
            self.missing.add((tool, workload))
            return None
        if workload in ("first", "start"):
            return {"seconds": seconds, "unit": "s"} | (json.loads(line) if workload == "first" else {})
        return json.loads(line)

    def peak(self, kind):
        """What the machine can do just now; None while others use it."""
        line, _, _ = self.call([self.program, kind, 1, 1])
        result = json.loads(line) if line else {"disturbed": True}
        return None if result["disturbed"] else result["rate"]


    def handoff(self):
        """How far apart two cores are just now, in ns; None where that is unknown."""
        line, _, _ = self.call([self.program, "handoff"])
        return float(line) or None if line else None


def one_round(runner, workload, batch, number, peaks):
    """Each tool once -> {tool: result}"""
    kind, results = split(workload)[1], {}
    for tool in TOOLS[kind]:
        if tool not in runner.options.tools or (tool, workload) in runner.missing:
            continue
        if kind in GFLOP:
            peaks.append(runner.peak("peak_bf16" if workload.endswith("_bf16") else "peak"))
        before = runner.handoff()
        result = runner.run(tool, workload, batch)
        if result:
            results[tool] = result | {"handoff_ns": [ns for ns in (before, runner.handoff()) if ns]}
            print(f"  round {number + 1}: {TITLES[tool]:16} {describe(results[tool])}", flush=True)
    return results


def steady(round_):
    """Did the cores stay as far apart as they were?"""
    ns = [ns for result in round_.values() for ns in result.get("handoff_ns", [])]
    return not ns or max(ns) < 2 * min(ns)


def measure(runner, workload, batch):
    """All rounds of a workload -> a record, saved."""
    rounds, peaks = [], []
    for number in range(runner.options.rounds):
        for _ in range(3):
            results = one_round(runner, workload, batch, number, peaks)
            if steady(results):
                break
        rounds.append(results)
    record = {"workload": workload, "batch": batch, "rounds": rounds, "peaks": [p for p in peaks if p],
              "triad": runner.peak("triad") if workload == "relu" else None, "machine": machine(), "threads": runner.options.threads,
              "date": time.strftime("%Y-%m-%d")}
    (runner.folder / f"{workload.replace('/', '-')}-{batch}.json").write_text(json.dumps(record, indent=1))
    return record


def describe(result):
    if "rate" not in result:
        return f"{result['seconds'] * 1000:8.1f} ms"
    note = f", DISTURBED ({result['foreign_share']:.0%} of the machine taken by others)" if result["disturbed"] else ""
    share = result["cpu_seconds"] / (result["median"] * result["threads"])
    apart = "".join(f", {ns:.0f} ns" for ns in result["handoff_ns"])
    return f"{result['rate']:9.2f} {result['unit']}, {share:.0%} of its threads' time, {result['peak_rss_mb']:.0f} MB, " \
           f"{result['page_faults']:.1f} page faults a step, load {result['load']}{apart}{note}"


def machine():
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            name = next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"


# ---- tables ---------------------------------------------------------------------------------------------------------

def disturbed(round_):
    return any(result.get("disturbed") for result in round_.values()) or not steady(round_)


def usable(record):
    """The rounds in which nothing was disturbed, if there are any, else all."""
    return [r for r in record["rounds"] if not disturbed(r)] or record["rounds"]


def middle(record, tool, key):
    values = [r[tool][key] for r in usable(record) if tool in r and key in r[tool]]
    return statistics.median(values) if values else None


def ratio(record, tools, key, less=""):
    """Ours against the best of these (their values less another one), round by round: the median."""
    better = max if key == "rate" else min
    pairs = [(r["ar"][key], better(r[t][key] - r[t].get(less, 0) for t in tools if t in r)) for r in usable(record)
             if "ar" in r and any(t in r for t in tools)]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def cell(value, form="{:.1f}"):
    return "" if value is None else form.format(value)


def number(value):
    return cell(value, "{:.2f}" if value is not None and value < 1 else "{:.1f}" if value is not None and value < 100 else "{:.0f}")


def table(header, rows):
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    line = lambda cells: "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths)) + " |"
    return "\n".join([line(header), line(["-" * w for w in widths]), *map(line, rows)])


def label(record):
    return record["workload"] + (f", {record['batch']}" if record["workload"] not in ("first", "start") else "")


def tables(records):
    rated = [r for r in records if r["workload"] not in ("first", "start")]
    shown = [t for t in TITLES if any(t in x for r in records for x in r["rounds"])]
    sections = []
    if rated:
        rows, memory = [], []
        for r in rated:
            unit = next((x[t]["unit"] for x in r["rounds"] for t in x), "")
            peak = statistics.median(r["peaks"]) if r["peaks"] else r["triad"]
            ours = middle(r, "ar", "rate")
            gflop = GFLOP.get(r["workload"]) or middle(r, "ar", "gflop") or 1
            share = ours * gflop / peak if ours and peak else None
            flags = " *" if any(map(disturbed, usable(r))) else ""
            rows.append([label(r) + flags, unit, *(number(middle(r, t, "rate")) for t in shown), cell(ratio(r, TORCH, "rate"), "{:.2f}"),
                         cell(ratio(r, ("onnxruntime",), "rate"), "{:.2f}"), cell(share, "{:.0%}"), cell(peak, "{:.0f}")])
            if split(r["workload"])[1] in ("inference", "inference_bf16", "training", "training_bf16", "lrcn"):
                memory.append([label(r), *(cell(middle(r, t, "peak_rss_mb"), "{:.0f}") for t in shown),
                               cell(middle(r, "eager", "libraries_mb"), "{:.0f}"), cell(ratio(r, TORCH, "peak_rss_mb"), "{:.2f}"),
                               cell(ratio(r, TORCH, "peak_rss_mb", less="libraries_mb"), "{:.2f}"),
                               cell(ratio(r, ("onnxruntime",), "peak_rss_mb"), "{:.2f}")])
        names = [TITLES[t] for t in shown]
        sections.append(table(["workload, batch", "unit", *names, "ours / PyTorch", "ours / ONNX Runtime", "share of peak", "peak"], rows))
        if any(r[0].endswith("*") for r in rows):
            sections.append("\\* disturbed in every round: other processes took more than 5 % of the machine, or its cores moved apart.")
        if memory:
            sections.append("Peak memory of the process, MB:\n\n" + table(
                ["workload, batch", *names, "PyTorch once imported", "ours / PyTorch", "ours / PyTorch without libraries",
                 "ours / ONNX Runtime"], memory))
    timed = [r for r in records if r["workload"] in ("first", "start")]
    if timed:
        rows = [[r["workload"], *(cell(middle(r, t, "seconds"), "{:.4f}") for t in shown)] for r in timed]
        sections.append("Seconds from the start of the process to its end:\n\n" + table(["", *(TITLES[t] for t in shown)], rows))
    about = "; ".join(sorted({f"{r['machine']}, {r['threads']} threads, {r['date']}" for r in records}))
    kernels = sorted({x["ar"]["kernels"] for r in rated for x in r["rounds"] if "ar" in x})
    versions = sorted({f"{x[t]['tool']} {x[t]['version']}" for r in rated for x in r["rounds"] for t in x})
    sections.append(f"Measured on: {about}. {', '.join(versions)}. Our kernels: {', '.join(kernels)}.")
    return "\n\n".join(sections)


def write(path, text):
    """Puts the tables between the two markers of a document."""
    begin, end = "<!-- bench/compare.py writes from here -->", "<!-- to here -->"
    page = pathlib.Path(path).read_text()
    if begin not in page or end not in page:
        raise SystemExit(f"error: {path}: lacks the lines {begin} and {end}")
    head, rest = page.split(begin, 1)
    pathlib.Path(path).write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end, 1)[1]}")


def load(folder):
    found = [json.loads(p.read_text()) for p in folder.glob("*.json")]
    order = list(TOOLS)
    # DenseNet-121 first, then the other networks by name.
    return sorted(found, key=lambda r: ("/" in r["workload"], split(r["workload"])[0], order.index(split(r["workload"])[1]), r["batch"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the Python that has PyTorch and ONNX Runtime")
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--workloads", default=DEFAULT, help="name:batch,... (default: %(default)s)")
    parser.add_argument("--tools", default=",".join(TITLES), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=5, help="in each round")
    parser.add_argument("--isa", choices=HELD_BACK, help="hold all tools to these instructions; results in a folder of their own")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--timeout", type=int, default=900, help="seconds that one process may take")
    parser.add_argument("--write", metavar="FILE", help="also put the tables into this document")
    options = parser.parse_args()
    options.tools = [t for t in options.tools.split(",") if not (options.isa and t == "onnxruntime")]
    wanted = []
    for item in filter(None, options.workloads.split(",")):
        workload, _, batch = item.partition(":")
        if split(workload)[1] not in TOOLS:
            parser.error(f"there is no workload {workload}; there are {', '.join(TOOLS)}")
        wanted.append((workload, int(batch or 1)))
    runner = Runner(options)
    if not runner.program.exists():
        parser.error(f"{runner.program} is not there: build first, or give --build")
    for workload, batch in wanted:
        print(f"{workload}, {batch}", flush=True)
        measure(runner, workload, batch)
    records = load(runner.folder)
    if not records:
        raise SystemExit("nothing measured yet")
    text = tables(records)
    print("\n" + text)
    if options.write:
        write(options.write, text)


if __name__ == "__main__":
    main()
