"""How fast, how small and how exact: entropy_and_covariance against the usual form.

    python bench/entropy_and_covariance.py            every device, precision and thread count
    python bench/entropy_and_covariance.py --help     other sizes, fewer rows of the table

The forms take turns, one run each a round, so that a busy moment of the machine hits all of them.
Times are medians over the rounds with the fastest and the slowest. Nothing here passes or fails.
"""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from labutils.policy import entropy_and_covariance

USUAL, RAISED, COMPILED, STREAMING, NUMPY = (
    "usual form", "usual form, raised to float32", "usual form, compiled", "streaming",
    "streaming, NumPy",
)  # fmt: skip
NONE = "-"


def usual_form(logits, advantages, tokens):
    """Softmax, then logsumexp, then the products: every step a [tokens, vocabulary] array."""
    pi = torch.softmax(logits, -1)
    log_normaliser = torch.logsumexp(logits, -1, keepdim=True)
    entropy = log_normaliser - (pi * logits).sum(-1, keepdim=True)
    log_pi = logits - log_normaliser
    S = pi * (log_pi + entropy)
    at = tokens[:, None]
    covariance = advantages * (S.gather(-1, at)[:, 0] - (pi * S).sum(-1))
    return entropy[:, 0], covariance, log_pi.gather(-1, at)[:, 0]


def usual_form_raised(logits, advantages, tokens):
    return usual_form(logits.float(), advantages, tokens)


def exact(logits, advantages, tokens):
    """The same in float64, from the definitions, a few rows at a time."""
    parts = []
    for z, A, k in zip(logits.split(64), advantages.split(64), tokens.split(64), strict=True):
        log_pi = torch.log_softmax(z.double(), -1)
        pi = log_pi.exp()
        H = -(pi * log_pi).sum(-1, keepdim=True)
        step = -pi
        step[torch.arange(len(z)), k] += 1
        covariance = A.double() * (pi * (log_pi + H) * step).sum(-1)
        parts.append((H[:, 0], covariance, log_pi.gather(-1, k[:, None])[:, 0]))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def example(rows, vocabulary, dtype, device):
    torch.manual_seed(0)
    logits = torch.empty(rows, vocabulary, device=device).normal_(0, 3).to(dtype)
    advantages = torch.randn(rows, device=device)
    tokens = torch.randint(vocabulary, (rows,), device=device)
    tokens[::2] = logits[::2].argmax(-1)
    return logits, advantages, tokens


def forms(dtype, device, numpy_too, compiled_too):
    """The forms to compare, by name, all called with the same torch arguments."""
    found = {USUAL: usual_form}
    if dtype != torch.float32:
        found[RAISED] = usual_form_raised
    if compiled_too:
        torch._dynamo.reset()  # a compiled form keeps the thread count it was compiled for
        found[COMPILED] = torch.compile(usual_form_raised)
    found[STREAMING] = entropy_and_covariance
    if numpy_too and device == "cpu" and dtype == torch.float32:
        found[NUMPY] = lambda *torch_arrays: [
            torch.from_numpy(a) for a in entropy_and_covariance(*(t.numpy() for t in torch_arrays))
        ]
    return found


def seconds(function, device):
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def bandwidth(size, device, repeats):
    """GB/s of reading `size` bytes (a sum), and of copying them (read and written both counted)."""
    source = torch.ones(size // 4, device=device)
    target = torch.ones_like(source)
    reads = [seconds(source.sum, device)[0] for _ in range(repeats + 1)][1:]
    copies = [seconds(lambda: target.copy_(source), device)[0] for _ in range(repeats + 1)][1:]
    return size / statistics.median(reads) / 1e9, 2 * size / statistics.median(copies) / 1e9


def peak_memory(name, options, dtype, device):
    """Peak extra memory over the bytes of the logits; on a CPU that of a fresh process."""
    if device == "cuda":
        arguments = example(options.rows, options.vocabulary, dtype, device)
        form = forms(dtype, device, True, name == COMPILED)[name]
        form(*arguments)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = form(*arguments)  # noqa: F841  (kept until the peak is read)
        return (torch.cuda.max_memory_allocated() - before) / arguments[0].nbytes
    command = [sys.executable, __file__, "--memory-of", name, "--dtypes", str(dtype)[6:]]
    command += ["--rows", str(options.rows), "--vocabulary", str(options.vocabulary)]
    run = subprocess.run(command, capture_output=True, text=True)
    return float(run.stdout) if run.returncode == 0 else None


def print_peak_memory(options):
    """What the fresh process does: warm up on a few rows, then one run on all of them."""

    def peak():  # not getrusage: its peak is inherited from the process that started this one
        return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

    dtype = getattr(torch, options.dtypes[0])
    name = options.memory_of
    form = forms(dtype, "cpu", True, name == COMPILED)[name]
    logits = torch.empty(options.rows, options.vocabulary, dtype=dtype).normal_(0, 3)
    advantages, tokens = torch.ones(options.rows), torch.zeros(options.rows, dtype=torch.int64)
    with torch.no_grad():
        form(logits[:4], advantages[:4], tokens[:4])
        before = peak()
        form(logits, advantages, tokens)
    print((peak() - before) / logits.nbytes)


def table(options, device, dtype, threads):
    if threads:
        torch.set_num_threads(threads)
    arguments = example(options.rows, options.vocabulary, dtype, device)
    logits = arguments[0]
    wanted = exact(*arguments)
    competitors = forms(dtype, device, threads in (None, 1), options.compile)
    times, errors = {name: [] for name in competitors}, {}
    for name, form in list(competitors.items()):
        try:
            for _ in range(options.warm_up):
                got = form(*arguments)
            errors[name] = [
                (one.double() - other).abs().max().item()
                for one, other in zip(got, wanted, strict=True)
            ]
        except Exception as error:  # torch.compile needs a compiler that may not be there
            if name != COMPILED:
                raise
            print(f"{name}: not available here ({type(error).__name__})")
            del competitors[name], times[name]
        got = None
    for _ in range(options.repeats):
        for name, form in competitors.items():
            times[name].append(seconds(lambda form=form: form(*arguments), device)[0])
    read, copy = bandwidth(logits.nbytes, device, options.repeats)

    where = device if not threads else f"{device}, {threads} thread{'s' if threads > 1 else ''}"
    size = f"{options.rows} x {options.vocabulary} {str(dtype)[6:]}"
    print(f"\n### {size} on {where}\n")
    print(
        f"Logits {logits.nbytes / 1e6:.0f} MB; reading them {read:.1f} GB/s, copying them "
        f"{copy:.1f} GB/s. Load average at the end {load()}.\n"
    )
    print("| form | median ms (fastest to slowest) | times the usual | GB/s of logits | share of "
          "reading | extra memory / logits | error H | error Cov | error log π |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    base = statistics.median(times[USUAL])
    for name, spent in times.items():
        median = statistics.median(spent)
        rate = logits.nbytes / median / 1e9
        memory = None
        if not options.no_memory and (name != COMPILED or device == "cuda"):
            memory = peak_memory(name, options, dtype, device)  # compiling itself takes far more
        cells = [
            name,
            f"{1e3 * median:.4g} ({1e3 * min(spent):.4g} to {1e3 * max(spent):.4g})",
            f"{base / median:.2f}",
            f"{rate:.2f}",
            f"{rate / read:.1%}",
            NONE if memory is None else f"{memory:.3f}",
            *(f"{error:.1e}" for error in errors[name]),
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


def load():
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else NONE


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="on the CPU")
    parser.add_argument("--repeats", type=int, default=9, help="rounds that are timed")
    parser.add_argument("--warm-up", type=int, default=2, help="runs before the timed ones")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        torch.set_num_threads(1)
        return print_peak_memory(options)

    print(f"{datetime.date.today()}  {processor()}, {os.cpu_count()} cores, {platform.system()}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}")
    print(f"Load average at the start {load()}; {options.repeats} rounds")
    if torch.cuda.is_available():
        print(f"GPU {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    with torch.no_grad():
        for dtype in options.dtypes:
            for threads in options.threads:
                table(options, "cpu", getattr(torch, dtype), threads)
        if torch.cuda.is_available():
            for dtype in options.dtypes:
                table(options, "cuda", getattr(torch, dtype), None)


if __name__ == "__main__":
    main()
