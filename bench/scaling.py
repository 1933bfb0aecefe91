#!/usr/bin/env python3
"""How much faster the library is with more threads, and how much of its rate is left on a single image.

    bench/scaling.py                                               DenseNet-121's and resnet50's inference and training
    bench/scaling.py --workloads lstm:32 --threads 1,2,4,8 --rounds 5

Runs with each number of threads take turns (1 2 1 2 ...), each a process of its own, and before each of them the peak of
that many threads is measured: a core alone may clock higher than all of them together, which is no fault of the program's.
Prints medians of each round's ratios: the rate of T threads to that of one, the same of the peaks, and for inference the
rate at batch 1 to that at the batch given. Leave the machine alone meanwhile.
"""
import argparse
import json
import os
import statistics
import sys

from compare import ROOT, Runner, cell, split, table


def run(runner, workload, batch, threads):
    """-> a line of ar-bench as a dict, or None"""
    line, _, error = runner.call([runner.program, workload, batch, runner.options.samples], threads)
    if line is None:
        print(f"  {workload}, {batch}: {(error.splitlines() or ['no message'])[-1]}", file=sys.stderr)
        return None
    result = json.loads(line)
    print(f"  {workload}, {batch}, {threads} threads: {result['rate']:.4g} {result['unit']}"
          + (f", DISTURBED ({result['foreign_share']:.0%} of the machine taken by others)" if result["disturbed"] else ""), flush=True)
    return result


def rounds_of(runner, workload, batch):
    """-> rounds, each {threads: rate}, {threads: peak} and the rate of batch 1 with the most threads (None for training)"""
    counts, single = runner.options.counts, split(workload)[1].startswith("inference") and batch != 1
    for _ in range(runner.options.rounds):
        results = {}
        peaks = {}
        for n in counts:
            peaks[n] = run(runner, "peak_bf16" if workload.endswith("_bf16") else "peak", 1, n)
            results[n] = run(runner, workload, batch, n)
        alone = run(runner, workload, 1, counts[-1]) if single else None
        done = [*results.values(), *peaks.values()] + ([alone] if single else [])
        if all(done):
            rates = lambda lines: {n: line["rate"] for n, line in lines.items()}
            yield rates(results), rates(peaks), alone and alone["rate"], any(line["disturbed"] for line in done)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--workloads", default="inference:8,training:8,resnet50/inference:8,resnet50/training:8,lstm:32",
                        help="default: %(default)s")
    parser.add_argument("--threads", default=f"1,{len(os.sched_getaffinity(0))}", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=3, help="in each run")
    parser.add_argument("--timeout", type=int, default=900, help="seconds that one process may take")
    options = parser.parse_args()
    options.counts, options.isa = [int(n) for n in options.threads.split(",")], None
    runner, first, rows = Runner(options), options.counts[0], []
    for item in options.workloads.split(","):
        workload, _, batch = item.partition(":")
        batch = int(batch or 1)
        rounds = list(rounds_of(runner, workload, batch))
        kept = [r for r in rounds if not r[3]] or rounds
        for n in options.counts[1:] if kept else []:
            middle = lambda f: statistics.median(f(rates, peaks, alone) for rates, peaks, alone, _ in kept)
            ratio, peak = middle(lambda r, p, a: r[n] / r[first]), middle(lambda r, p, a: p[n] / p[first])
            single = middle(lambda r, p, a: a / r[n]) if n == options.counts[-1] and kept[0][2] else None
            rows.append([f"{workload}, {batch}" + (" *" if kept[0][3] else ""), f"{n}", f"{ratio:.2f}", f"{peak:.2f}",
                         cell(single, "{:.0%}")])
    print("\n" + table(["workload, batch", "threads", f"rate / {first} thread", f"peak / {first} thread", "batch 1 / this batch"], rows))
    if any(r[0].endswith("*") for r in rows):
        print("\n* disturbed in every round: other processes took more than 5 % of the machine.")


if __name__ == "__main__":
    main()
