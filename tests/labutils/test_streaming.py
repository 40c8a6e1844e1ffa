"""entropy_and_covariance: the definitions in float64, every precision, bounded memory."""

import subprocess
import sys
import textwrap
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from labutils import policy
from labutils.policy import entropy_and_covariance

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays do not gain from threads, and a busy machine makes them wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


ROWS, VOCABULARY = 40, 700
MASKED = np.arange(VOCABULARY) % 3 == 1


def case(kind, seed=0):
    """Logits (exact in float32), an advantage a token, sampled tokens, an advantage a sample."""
    rng = np.random.default_rng(seed)
    spread = {"random": 2.0, "peaked": 25.0, "masked": 3.0, "shifted": 2.0}[kind]
    logits = spread * rng.normal(size=(ROWS, VOCABULARY))
    if kind == "masked":
        logits[:, MASKED] = -np.inf
    if kind == "shifted":
        logits += 1e4
    logits = logits.astype(np.float32).astype(np.float64)
    allowed = np.flatnonzero(np.isfinite(logits[0]))
    tokens = np.where(rng.random(ROWS) < 0.5, logits.argmax(-1), rng.choice(allowed, ROWS))
    return logits, rng.normal(size=logits.shape), tokens, rng.normal(size=ROWS)


def definition(logits, delta):
    """H and Cov_π(log π, Δz) of one row, literally, over the tokens of positive probability."""
    keep = np.isfinite(logits)
    z, delta = logits[keep] - logits.max(), delta[keep]
    pi = np.exp(z) / np.exp(z).sum()
    log_pi = z - np.log(np.exp(z).sum())
    covariance = np.sum(pi * (log_pi - pi @ log_pi) * (delta - pi @ delta))
    return -pi @ log_pi, covariance


def expected(logits, advantages, tokens, update):
    """The step Δz of every row is built in full; nothing of the streaming form is used."""
    entropy, covariance = [], []
    for row, (z, A) in enumerate(zip(logits, advantages, strict=True)):
        pi = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        if tokens is None:
            delta = A if update == "natural" else pi * (A - pi @ A)
        else:
            one = np.eye(len(z))[tokens[row]]
            delta = A * one / pi[tokens[row]] if update == "natural" else A * (one - pi)
        H, cov = definition(z, delta)
        entropy.append(H)
        covariance.append(cov)
    return np.array(entropy), np.array(covariance)


def as_library(library, dtype, *arrays):
    if library == "numpy":
        return [np.asarray(a, dtype=dtype if a.dtype.kind == "f" else None) for a in arrays]
    kinds = {"f": getattr(torch, dtype), "i": torch.int64}
    return [torch.as_tensor(a).to(kinds[a.dtype.kind]) for a in arrays]


def as_float64(array):
    return np.asarray(array if isinstance(array, np.ndarray) else array.double().numpy(), float)


UPDATES = ["policy_gradient", "natural"]
# Half precisions are tested against the definition at the rounded logits, so that what is
# measured is this function, not the rounding of its input.
PRECISIONS = [
    ("numpy", "float64", 1e-12),
    ("numpy", "float32", 1e-5),
    ("numpy", "float16", 1e-5),
    ("torch", "float64", 1e-12),
    ("torch", "float32", 1e-5),
    ("torch", "bfloat16", 1e-5),
    ("torch", "float16", 1e-5),
]


@pytest.mark.parametrize("kind", ["random", "peaked", "masked", "shifted"])
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("sampled", [True, False], ids=["sampled", "all-tokens"])
@pytest.mark.parametrize("library, dtype, tolerance", PRECISIONS)
def test_it_is_the_definition(kind, update, sampled, library, dtype, tolerance):
    logits, advantages, tokens, advantage = case(kind)
    if kind == "shifted" and dtype == "bfloat16":
        logits -= 1e4  # bfloat16 has steps of 64 there: nothing of the distribution is left
    if update == "natural" and sampled:
        tokens = logits.argmax(-1)  # 1/π of a rare token makes the reference itself lose digits
    if not sampled:
        tokens, advantage = None, advantages
    z, A = as_library(library, dtype, logits, advantage)
    k = None if tokens is None else as_library(library, dtype, tokens)[0]
    got = entropy_and_covariance(z, A, k, update=update)
    entropy, covariance = expected(as_float64(z), as_float64(A), tokens, update)

    result = "float64" if dtype == "float64" else "float32"
    assert str(got.entropy.dtype).endswith(result)
    assert str(got.covariance.dtype).endswith(result)
    assert got.entropy.shape == got.covariance.shape == (ROWS,)
    np.testing.assert_allclose(as_float64(got.entropy), entropy, rtol=0, atol=tolerance)
    np.testing.assert_allclose(as_float64(got.covariance), covariance, rtol=0, atol=tolerance)
    if sampled:
        log_pi = policy.log_softmax(np.where(np.isfinite(as_float64(z)), as_float64(z), -1e30))
        want = log_pi[np.arange(ROWS), tokens]
        np.testing.assert_allclose(as_float64(got.log_prob), want, rtol=1e-6, atol=tolerance)
    else:
        assert got.log_prob is None


def test_it_agrees_with_the_plain_functions():
    logits, advantages, tokens, advantage = case("random", seed=1)
    sampled = entropy_and_covariance(logits, advantage, tokens)
    change = policy.sampled_token_change(logits, tokens, advantage)
    np.testing.assert_allclose(-sampled.covariance, change, atol=1e-13)
    for update, step in (("policy_gradient", policy.policy_gradient), ("natural", None)):
        got = entropy_and_covariance(logits, advantages, update=update)
        delta = advantages if step is None else step(logits, advantages)
        change = policy.entropy_change(logits, delta)
        np.testing.assert_allclose(-got.covariance, change, atol=1e-13)
        np.testing.assert_allclose(got.entropy, policy.entropy(logits), atol=1e-13)


@pytest.mark.parametrize("update", UPDATES)
def test_the_sampled_form_averages_to_the_form_over_all_tokens(update):
    rng = np.random.default_rng(2)
    z, A = rng.normal(size=12), rng.normal(size=12) + 3.0  # not centred
    every = entropy_and_covariance(np.tile(z, (12, 1)), A, np.arange(12), update=update)
    mean = policy.softmax(z) @ every.covariance
    if update == "natural":  # E_k[A_k e_k / π_k] = A
        want = entropy_and_covariance(z, A, update=update).covariance
    else:  # E_k[A_k (e_k - π)] = π (A - E_π A)
        want = entropy_and_covariance(z, A).covariance
        uncentred = policy.covariance(z, policy.log_softmax(z), policy.softmax(z) * A)
        assert abs(uncentred - want) > 1e-3
    assert mean == pytest.approx(want, abs=1e-13)


def test_minus_the_covariance_predicts_the_change_of_entropy():
    logits, _, tokens, advantage = case("random", seed=3)
    got = entropy_and_covariance(logits, advantage, tokens)
    pi = policy.softmax(logits)
    delta = advantage[:, None] * (np.eye(VOCABULARY)[tokens] - pi)
    residual = [
        np.abs(policy.entropy(logits + eta * delta) - got.entropy + eta * got.covariance).max()
        for eta in (1e-2, 5e-3)
    ]
    assert residual[0] / residual[1] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("update", UPDATES)
def test_a_constant_changes_nothing(library, update):
    logits, advantages, _, _ = case("random", seed=4)
    z, A = as_library(library, "float64", logits, advantages)
    base = entropy_and_covariance(z, A, update=update)
    for moved in (
        entropy_and_covariance(z + 300.0, A, update=update),
        entropy_and_covariance(z, A + 300.0, update=update),
    ):
        np.testing.assert_allclose(moved.entropy, base.entropy, atol=1e-11)
        np.testing.assert_allclose(moved.covariance, base.covariance, atol=1e-11)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("sampled", [True, False])
def test_the_chunk_changes_rounding_at_most(library, sampled):
    logits, advantages, tokens, advantage = case("masked", seed=5)
    arrays = (logits, advantage, tokens) if sampled else (logits, advantages)
    arrays = as_library(library, "float32", *arrays)
    base = entropy_and_covariance(*arrays)
    for chunk in (1, 3, 7, ROWS, 10 * ROWS):
        got = entropy_and_covariance(*arrays, chunk=chunk)
        for one, other in zip(got, base, strict=True):
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_masked_tokens_are_as_good_as_absent(library):
    logits, advantages, tokens, advantage = case("masked", seed=6)
    new_index = np.cumsum(~MASKED) - 1
    arrays = as_library(library, "float64", logits, advantages, tokens, advantage)
    short = as_library(
        library, "float64",
        logits[:, ~MASKED], advantages[:, ~MASKED], new_index[tokens], advantage,
    )  # fmt: skip
    for update in UPDATES:
        pairs = (
            (entropy_and_covariance(arrays[0], arrays[3], arrays[2], update=update),
             entropy_and_covariance(short[0], short[3], short[2], update=update)),
            (entropy_and_covariance(arrays[0], arrays[1], update=update),
             entropy_and_covariance(short[0], short[1], update=update)),
        )  # fmt: skip
        for long_form, short_form in pairs:
            np.testing.assert_allclose(long_form.entropy, short_form.entropy, atol=1e-13)
            np.testing.assert_allclose(long_form.covariance, short_form.covariance, atol=1e-12)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_certain_token_has_entropy_exactly_zero(library, dtype):
    logits = np.full((2, 5), -np.inf)
    logits[:, 3] = 1.5
    z, A, k = as_library(library, dtype, logits, np.array([2.0, -1.0]), np.array([3, 0]))
    got = entropy_and_covariance(z, A, k)
    assert as_float64(got.entropy).tolist() == [0.0, 0.0]
    assert as_float64(got.covariance).tolist() == [0.0, 0.0]
    assert as_float64(got.log_prob).tolist() == [0.0, -np.inf]
    (A,) = as_library(library, dtype, np.full((2, 5), 1e30))
    for update in UPDATES:  # whatever advantage a masked token carries, it has no weight
        covariance = entropy_and_covariance(z, A, update=update).covariance
        assert as_float64(covariance).tolist() == [0.0, 0.0]


def test_uniform_logits_have_entropy_log_v_and_no_first_order_change():
    z = np.full((3, 50), 7.0, dtype=np.float32)
    got = entropy_and_covariance(z, np.ones(3, dtype=np.float32), np.array([0, 20, 49]))
    np.testing.assert_allclose(got.entropy, np.log(50), rtol=1e-6)
    np.testing.assert_allclose(got.covariance, 0, atol=1e-7)
    np.testing.assert_allclose(got.log_prob, -np.log(50), rtol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_leading_axes_views_and_integer_advantages(library):
    rng = np.random.default_rng(7)
    logits, tokens = rng.normal(size=(4, 6, 30)), rng.integers(0, 30, size=(4, 5))
    reward = rng.integers(-1, 2, size=(4, 5))
    (z,), k = as_library(library, "float64", logits), as_library(library, "float64", tokens)[0]
    A = as_library(library, "float64", reward)[0]
    before = as_float64(z).copy()
    got = entropy_and_covariance(z[:, :-1], A, k)
    assert got.entropy.shape == got.covariance.shape == got.log_prob.shape == (4, 5)
    flat = entropy_and_covariance(
        logits[:, :-1].reshape(20, 30), reward.reshape(20), tokens.reshape(20)
    )
    for one, other in zip(got, flat, strict=True):
        np.testing.assert_allclose(as_float64(one).ravel(), other, atol=1e-14)
    assert (as_float64(z) == before).all(), "the logits were written to"

    dense = rng.normal(size=(30, 5, 4))
    (A,) = as_library(library, "float64", dense)
    turned = A.transpose(2, 1, 0) if library == "numpy" else A.permute(2, 1, 0)
    got = entropy_and_covariance(z[:, 1:], turned)
    want = entropy_and_covariance(logits[:, 1:].copy(), dense.transpose(2, 1, 0).copy())
    np.testing.assert_allclose(got.covariance, want.covariance, atol=1e-14)

    one = entropy_and_covariance(z[0, 0], A[:, 0, 0])
    assert one.entropy.shape == () and one.covariance.shape == ()
    none = entropy_and_covariance(z[:0, 1:], turned[:0])
    assert none.entropy.shape == (0, 5)


@pytest.mark.parametrize("sampled", [True, False])
def test_threads_share_the_rows_and_leave_the_settings_alone(sampled):
    torch.manual_seed(9)
    z = torch.randn(70, 20_000)  # too much for one thread's cache, so that all take part
    arguments = (z, torch.ones(70), torch.arange(70)) if sampled else (z, torch.randn(70, 20_000))
    alone = entropy_and_covariance(*arguments)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        shared = entropy_and_covariance(*arguments)
        assert torch.get_num_threads() == threads
        with ThreadPoolExecutor(1) as pool:  # a new thread takes the setting of the process
            assert pool.submit(torch.get_num_threads).result() == threads
        with torch.inference_mode():
            inside = entropy_and_covariance(*arguments)
        with torch.no_grad():
            no_grad = entropy_and_covariance(z.clone().requires_grad_(), *arguments[1:])
        for got in (shared, inside, no_grad):
            for one, other in zip(got[:2], alone[:2], strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
        bad = z.clone()
        bad[66, 5] = torch.nan
        with pytest.raises(ValueError, match="NaN in row 66"):
            entropy_and_covariance(bad, *arguments[1:])


# Memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(64, 20_000), (2048, 1000)])
@pytest.mark.parametrize("sampled", [True, False])
def test_numpy_takes_an_eighth_of_the_logits_at_most(dtype, shape, sampled):
    logits = np.random.default_rng(8).normal(size=shape).astype(dtype)
    if sampled:
        arguments = logits, np.ones(len(logits)), np.zeros(len(logits), dtype=int)
    else:
        arguments = logits, logits
    entropy_and_covariance(*(a[:2] for a in arguments))  # first-call caches
    results = 3 * len(logits) * max(4, logits.itemsize)
    assert _traced(lambda: entropy_and_covariance(*arguments)) - results <= logits.nbytes / 8
    assert _traced(lambda: np.exp(logits)) >= logits.nbytes, "the measurement sees nothing"


def _traced(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_torch_takes_an_eighth_of_the_logits_at_most():
    """The peak of a fresh process before and after; the usual form shows that it is seen."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak memory of a process is read from /proc")
    script = textwrap.dedent(
        """
        from pathlib import Path
        import torch
        from labutils.policy import entropy_and_covariance
        torch.set_num_threads(2)
        # Not getrusage: its peak is inherited from the process that starts this one.
        def peak():
            return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        # A small batch first: what the library sets up once is not counted.
        for update in ("policy_gradient", "natural"):
            small = torch.randn(64, 1024)
            A, k = torch.randn(64), torch.zeros(64, dtype=torch.int64)
            for dtype in (torch.float32, torch.bfloat16):
                entropy_and_covariance(small.to(dtype), A, k, update=update)
                entropy_and_covariance(small.to(dtype), small.to(dtype), update=update)
        held = []
        for dtype in (torch.bfloat16, torch.float32):
            for sampled in (True, False):
                z = torch.full((2048, 16384), 0.5, dtype=dtype)
                held.append(z)                       # so that the next peak stands on this one
                A = torch.ones(2048) if sampled else z
                k = torch.zeros(2048, dtype=torch.int64) if sampled else None
                before = peak()
                entropy_and_covariance(z, A, k)
                print((peak() - before) / z.nbytes)
        before = peak()
        torch.softmax(z, -1)
        print((peak() - before) / z.nbytes)
        """
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    *ours, usual = [float(line) for line in run.stdout.split()]
    assert len(ours) == 4 and max(ours) <= 1 / 8, ours
    assert usual > 0.9, "the measurement sees nothing"


# Gradients and bad input --------------------------------------------------------------------


def test_gradients_are_refused_and_never_dropped_in_silence():
    z, A, k = torch.zeros(2, 3, requires_grad=True), torch.ones(2), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="logits must not require gradients.*detach"):
        entropy_and_covariance(z, A, k)
    with pytest.raises(ValueError, match="advantages must not require gradients"):
        entropy_and_covariance(z.detach(), A.requires_grad_(), k)
    with torch.no_grad():
        got = entropy_and_covariance(z, A, k)
    assert not got.entropy.requires_grad and not got.covariance.requires_grad
    with torch.inference_mode():
        entropy_and_covariance(torch.zeros(2, 3), torch.ones(2), k)


GOOD = (np.zeros((4, 5)), np.ones(4), np.zeros(4, dtype=int))


def replaced(position, value):
    return [value if i == position else array for i, array in enumerate(GOOD)]


def with_value(array, index, value):
    array = array.copy()
    array[index] = value
    return array


BAD = [
    (replaced(0, [[0.0]]), {}, TypeError, "logits must be a NumPy array or a torch tensor.*list"),
    (replaced(0, np.zeros((4, 5), int)), {}, TypeError, "logits must hold floating.*int64"),
    (replaced(0, np.zeros((4, 0))), {}, ValueError, r"logits must have shape.*\[4, 0\]"),
    (replaced(0, np.array(1.0)), {}, ValueError, r"logits must have shape.*\[\]"),
    (replaced(0, with_value(GOOD[0], (2, 1), np.nan)), {}, ValueError, "logits.*NaN in row 2"),
    (replaced(0, with_value(GOOD[0], (3, 1), np.inf)), {}, ValueError, "logits.*got inf in row 3"),
    (replaced(0, with_value(GOOD[0], 1, -np.inf)), {}, ValueError, "logits.*only -inf in row 1"),
    (replaced(1, [1.0] * 4), {}, TypeError, "advantages must come from the library.*list"),
    (replaced(1, torch.ones(4)), {}, TypeError, "advantages must come from the library.*Tensor"),
    (replaced(1, np.ones(4, complex)), {}, TypeError, "advantages must hold real.*complex128"),
    (replaced(1, np.ones(3)), {}, ValueError, r"advantages must have shape \[4\].*got \[3\]"),
    (replaced(1, np.ones((4, 5))), {}, ValueError, r"advantages must have.*with s.*got \[4, 5\]"),
    (replaced(1, with_value(GOOD[1], 2, np.nan)), {}, ValueError, "advantages.*nan in row 2"),
    (replaced(1, with_value(GOOD[1], 2, -np.inf)), {}, ValueError, "advantages.*-inf in row 2"),
    (replaced(2, np.zeros(4)), {}, TypeError, "tokens must hold whole numbers.*float64"),
    (replaced(2, np.zeros(5, int)), {}, ValueError, r"tokens must have shape \[4\].*got \[5\]"),
    (replaced(2, np.array([0, 5, 0, 0])), {}, ValueError, r"tokens must lie in 0\.\.4; got 5"),
    (replaced(2, np.array([0, 0, -1, 0])), {}, ValueError, r"tokens must lie in 0\.\.4; got -1"),
    (GOOD[:2], {}, ValueError, r"advantages must have shape \[4, 5\] \(without"),
    (GOOD, {"chunk": 0}, ValueError, "chunk must be at least 1 row; got 0"),
    (GOOD, {"chunk": 2.0}, TypeError, r"chunk must be a whole number; got 2\.0"),
    (GOOD, {"update": "vanilla"}, ValueError, "update must be one of.*got 'vanilla'"),
    (
        replaced(0, with_value(GOOD[0], (2, 0), -np.inf)),
        {"update": "natural"}, ValueError, "tokens must have probability > 0.*got 0 in row 2",
    ),
    (
        (GOOD[0].astype(np.float32), np.full((4, 5), 1e300)),
        {}, ValueError, r"advantages must not overflow.*got 1e\+300 in row 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize("arguments, options, error, message", BAD)
def test_bad_input_gets_one_clear_line(arguments, options, error, message):
    with pytest.raises(error, match=message) as caught:
        entropy_and_covariance(*arguments, **options)
    assert "\n" not in str(caught.value)
    if all(isinstance(a, np.ndarray) for a in arguments):  # the same line from torch
        with pytest.raises(error, match=message.replace("complex128", "torch.complex128")):
            entropy_and_covariance(*(torch.as_tensor(a) for a in arguments), **options)


def test_a_bad_row_is_found_by_its_flat_number_and_all_devices_must_agree():
    z = np.zeros((2, 3, 4))
    z[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="row 5"):
        entropy_and_covariance(z, np.zeros_like(z))
    z = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="advantages must be on cpu, as logits; got meta"):
        entropy_and_covariance(z, torch.ones(2, device="meta"), torch.tensor([0, 1]))
