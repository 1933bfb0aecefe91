"""Timing samples that can be trusted on a machine which others use too, and the line of JSON that every worker prints.

A sample repeats its step until it lasts long enough, and knows which share of the machine other processes took meanwhile
(busy time of all cores, from /proc/stat, less this process's). Samples with too large a share are taken again.
bench/measure.h does the same, so that all sides are measured alike.
"""
import json
import os
import resource
import statistics
import time

FOREIGN_LIMIT = 0.05  # of all cores' time
MIN_SECONDS = 0.6     # of one sample; /proc/stat counts in hundredths of a second
MAX_SECONDS = 20      # of all samples of a slow step


def threads():
    """Cores this process computes with: OMP_NUM_THREADS, else those it may run on."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def busy_seconds():
    """What all cores have worked since the machine started, including what a hypervisor took away."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def page_faults():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


def sample(step, repeats):
    """-> seconds of one step, its processor seconds (all threads together), share of all cores' time that others took,
    page faults of one step."""
    faults = page_faults()
    busy, own, start = busy_seconds(), time.process_time(), time.perf_counter()
    for _ in range(repeats):
        step()
    wall = time.perf_counter() - start
    own, busy = time.process_time() - own, busy_seconds() - busy
    cores = wall * os.cpu_count()
    return wall / repeats, own / repeats, max(0.0, busy - own) / cores, (page_faults() - faults) / repeats


def measure(step, samples, warmup):
    """Takes `samples` undisturbed samples of step(); fewer of slow steps, and gives up after three times as many."""
    for _ in range(warmup):
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
    repeats = max(1, round(MIN_SECONDS / seconds))
    taken, clean, begin = [], 0, time.perf_counter()
    while clean < samples and len(taken) < 3 * samples:
        taken.append(sample(step, repeats))
        clean += taken[-1][2] <= FOREIGN_LIMIT
        spent = time.perf_counter() - begin
        if spent > 3 * MAX_SECONDS or spent > MAX_SECONDS and clean >= 2:
            break
    best = sorted(taken, key=lambda t: t[2])[:clean if clean >= 2 else samples]
    return {
        "seconds": [round(t[0], 6) for t in best],
        "median": statistics.median(t[0] for t in best),
        "cpu_seconds": round(statistics.median(t[1] for t in best), 6),
        "page_faults": round(statistics.median(t[3] for t in best), 1),
        "foreign_share": round(best[-1][2], 3),
        "discarded": len(taken) - len(best),
        "disturbed": best[-1][2] > FOREIGN_LIMIT,
    }


def peak_rss_mb():
    """The most memory this process ever had in use, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def report(tool, version, arguments, unit, work, result, **more):
    """Prints the line. `work`: how many units one step does."""
    print(json.dumps({
        "tool": tool, "version": version, "workload": arguments.workload, "batch": arguments.batch, "threads": threads(),
        "unit": unit, "rate": work / result["median"], **result, **more,
        "peak_rss_mb": peak_rss_mb(),
        "load": round(os.getloadavg()[0], 2),
    }), flush=True)
