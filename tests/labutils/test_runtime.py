"""Device, scale, seed, progress and the report; each bad value gets one clear line."""

import subprocess
import sys

import pytest

from labutils import runtime


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("LABUTILS_DEVICE", "LABUTILS_SCALE", "LABUTILS_SEED"):
        monkeypatch.delenv(name, raising=False)


def test_scale_from_machine_argument_and_variable(monkeypatch):
    assert runtime.scale() in ("cpu", "gpu")
    assert runtime.scale("browser") == "browser"
    monkeypatch.setenv("LABUTILS_SCALE", "gpu")
    assert runtime.scale() == "gpu"
    assert runtime.pick(browser=1, cpu=2, gpu=3) == 3


def test_unknown_scale(monkeypatch):
    with pytest.raises(ValueError, match=r"scale \(or LABUTILS_SCALE\) must be one of browser, cpu, gpu; got 'huge'"):
        runtime.scale("huge")
    monkeypatch.setenv("LABUTILS_SCALE", "CPU")
    with pytest.raises(ValueError, match="got 'CPU'"):
        runtime.pick(browser=1, cpu=2, gpu=3)


def test_browser_is_noticed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert runtime.scale() == "browser"


def test_device_that_is_not_there(monkeypatch):
    assert runtime.device("cpu") == "cpu"
    with pytest.raises(ValueError, match=r"device \(or LABUTILS_DEVICE\) must be one that this machine has \(.*cpu.*\); got 'tpu'"):
        runtime.device("tpu")
    monkeypatch.setattr(runtime, "_torch_devices", lambda: ["cpu"])
    for name in ("cuda", "cuda:0", "mps"):
        monkeypatch.setenv("LABUTILS_DEVICE", name)
        with pytest.raises(ValueError, match=f"got '{name}'"):
            runtime.device()


def test_device_without_torch(monkeypatch):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    assert runtime.device() == "cpu"


def test_seed(monkeypatch):
    assert runtime.seed() == runtime.DEFAULT_SEED
    assert runtime.seed(3) == runtime.DEFAULT_SEED + 3
    monkeypatch.setenv("LABUTILS_SEED", "7")
    assert runtime.seed(1) == 8
    for bad in (-1, 1.5, True):
        with pytest.raises(ValueError, match="offset must be a whole number >= 0"):
            runtime.seed(bad)
    monkeypatch.setenv("LABUTILS_SEED", "minus one")
    with pytest.raises(ValueError, match="LABUTILS_SEED must be a whole number >= 0; got 'minus one'"):
        runtime.seed()


def test_progress_passes_everything_through(monkeypatch, capsys):
    monkeypatch.delenv("LABUTILS_PROGRESS", raising=False)
    assert list(runtime.progress(range(3), desc="x")) == [0, 1, 2]
    monkeypatch.setenv("LABUTILS_PROGRESS", "off")
    capsys.readouterr()
    assert list(runtime.progress(iter("ab"), total=2)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_missing_package_says_how_to_get_it():
    assert runtime.need("json").dumps(1) == "1"
    with pytest.raises(ModuleNotFoundError, match="needs the package 'not_there_at_all'.*pip install"):
        runtime.need("not_there_at_all")


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "entropy-lab\[symbolic\]"'):
        runtime.need("sympy")


def test_missing_data_file_is_named():
    with pytest.raises(FileNotFoundError, match="no data file 'gone.json' in the package; there is: "):
        runtime.data_path("gone.json")


def test_report_names_what_a_bug_report_needs(monkeypatch):
    rows = {name: (value, todo) for name, value, todo in runtime.report()}
    assert {"labutils", "python", "numpy", "torch", "device", "scale", "seed"} <= rows.keys()
    monkeypatch.setenv("LABUTILS_SCALE", "huge")
    rows = {name: (value, todo) for name, value, todo in runtime.report()}
    assert rows["scale"][0] == "not usable" and "huge" in rows["scale"][1]


def test_command_prints_the_report():
    done = subprocess.run([sys.executable, "-m", "labutils"], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout and "scale" in done.stdout


def test_import_is_light():
    code = ("import sys, labutils, labutils.info, labutils.policy; "
            "print([m for m in ('torch', 'matplotlib', 'altair', 'scipy', 'sympy', 'IPython') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_module_is_an_attribute_error():
    import labutils

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        labutils.nothing
    assert "info" in dir(labutils)
