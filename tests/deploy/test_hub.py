"""A hub for a class: the files hold together, and no door is open by mistake. No hub is started here."""

import asyncio
import os
import pwd
import re
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
MACHINE = ROOT / "deploy" / "one-machine"
HASH = "$2b$12$" + "x" * 53


def files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "deploy"], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout
    return [ROOT / name for name in listed.split()]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A prefix as install.sh leaves it, with a class of two; `load()` reads the configuration."""
    for folder in ("etc", "book/.git", "state"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    (tmp_path / "etc" / "settings.toml").write_text((MACHINE / "settings.toml").read_text())
    (tmp_path / "book" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "book" / "_config.yml").write_text("repository:\n  url: https://github.com/someone/a-book\n")
    (tmp_path / "state" / "class.txt").write_text(f"anna {HASH}\nben *\n")
    accounts = {"anna": 1001, "ben": 1002, "root": 0, "daemon": 1}
    home = types.SimpleNamespace

    def account(name):
        return home(pw_name=name, pw_uid=accounts[name], pw_gid=accounts[name], pw_dir=f"/home/{name}")

    monkeypatch.setenv("ENTROPY_LAB_HUB", str(tmp_path))
    monkeypatch.setattr(pwd, "getpwnam", account)

    class Authenticator:
        dbm_path = str(tmp_path / "state" / "passwords")
        log = types.SimpleNamespace(error=lambda *_: None)

        def normalize_username(self, name):
            return name.lower()

        async def authenticate(self, handler, data):
            return self.normalize_username(data["username"])

    monkeypatch.setitem(sys.modules, "firstuseauthenticator", types.SimpleNamespace(FirstUseAuthenticator=Authenticator))
    monkeypatch.setitem(sys.modules, "bcrypt", types.SimpleNamespace(checkpw=lambda word, kept: word == b"the-start-word"))

    def load():
        c = Config()
        space = {"get_config": lambda: c, "__name__": "jupyterhub_config"}
        source = (MACHINE / "jupyterhub_config.py").read_text(encoding="utf8")
        exec(compile(source, "jupyterhub_config.py", "exec"), space)
        return c, space

    return types.SimpleNamespace(prefix=tmp_path, load=load, list=tmp_path / "state" / "class.txt",
                                 settings=tmp_path / "etc" / "settings.toml")


def finish(coroutine):
    """What a coroutine returns; in a thread of its own, as a browser's loop may run in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def change(file, old, new):
    text = file.read_text(encoding="utf8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf8")


def test_only_the_class_may_enter(hub):
    c, _ = hub.load()
    assert c.Authenticator.allow_all is False and c.Authenticator.allow_existing_users is False
    assert c.Authenticator.allowed_users == {"anna", "ben"} and c.Authenticator.admin_users == set()
    assert c.JupyterHub.bind_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("text, words", [
    (None, "no class list"), ("", "is empty"), ("*\n", "must have lines"), ("anna\n", "must have lines"),
    ("anna secret\n", "must have lines"), (f"root {HASH}\n", "account of the system"), ("daemon *\n", "account of the system"),
])
def test_an_open_door_is_refused(hub, text, words):
    hub.list.unlink()
    if text is not None:
        hub.list.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        hub.load()
    assert words in str(stopped.value) and "\n" not in str(stopped.value)


def test_open_state_and_unknown_lecturers_are_refused(hub):
    change(hub.settings, "lecturers = []", 'lecturers = ["zoe"]')
    with pytest.raises(SystemExit, match="lecturers must be in the class list too: students.py add zoe"):
        hub.load()
    change(hub.settings, '["zoe"]', '["anna"]')
    assert hub.load()[0].Authenticator.admin_users == {"anna"}
    (hub.prefix / "state").chmod(0o755)
    with pytest.raises(SystemExit, match="must be closed to others: chmod 700"):
        hub.load()


@pytest.mark.parametrize("old, new, words", [
    ('memory = "2G"', 'memory = "2 GB"', "memory in .* must be a number with M or G"),
    ('memory = "2G"', "memory = 2", "memory in .* must be of type str"),
    ("cpus = 2.0", "cpus = -1", "cpus in .* must be above 0"),
    ("idle_minutes = 60 ", "", "cannot read the settings|must have a line `idle_minutes"),
    ('certificate = ""', 'certificate = "/c.pem"', "certificate and key in .* must be given together"),
    ('spawner = "auto"', 'spawner = "docker"', 'must be "auto", "systemd" or "process"'),
    ("at_once = 10", "at_once = 10\nat_twice = 3", "at_twice in .* is no setting"),
])
def test_a_wrong_setting_is_named(hub, old, new, words):
    change(hub.settings, old, new)
    with pytest.raises(SystemExit, match=words):
        hub.load()


def test_limits_by_systemd_or_by_prlimit(hub, capsys):
    change(hub.settings, 'spawner = "auto"', 'spawner = "process"')
    c, _ = hub.load()
    assert c.JupyterHub.spawner_class == "jupyterhub.spawner.LocalProcessSpawner"
    assert f"--data={2 * 2**30}" in c.Spawner.cmd and "--nproc=400" in c.Spawner.cmd
    assert "limits by prlimit" in capsys.readouterr().err
    change(hub.settings, 'spawner = "process"', 'spawner = "systemd"')
    c, _ = hub.load()
    assert c.JupyterHub.spawner_class == "systemd" and c.Spawner.mem_limit == "2G" and c.Spawner.cpu_limit == 2.0
    assert "limits by systemd" in capsys.readouterr().err


def test_a_name_enters_with_its_start_password_and_leaves_with_the_list(hub):
    _, space = hub.load()
    gate = space["ClassList"]()

    def enter(name, word):
        return finish(gate.authenticate(None, {"username": name, "password": word}))

    assert enter("Anna", "the-start-word") == "anna"
    assert enter("anna", "another-word") is None
    assert enter("anna", "x" * 73) is None
    assert enter("ben", "a-word-of-ones-own") == "ben"
    assert enter("zoe", "the-start-word") is None
    hub.list.write_text("ben *\n")
    assert enter("anna", "the-start-word") is None and not gate.check_allowed("anna")
    assert finish(gate.refresh_user(types.SimpleNamespace(name="anna"))) is False
    hub.list.write_text("broken")
    assert enter("ben", "a-word-of-ones-own") is None, "a list that cannot be read lets nobody in"


def test_copies_lie_where_the_links_of_the_book_expect_them(hub):
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import launch_ext
    finally:
        sys.path.pop(0)
    c, space = hub.load()
    link = launch_ext.pull("https://github.com/someone/a-book", "main", "notebooks/x.ipynb")
    assert space["FOLDER"] == "a-book" and c.Spawner.default_url == "/lab/tree/a-book"
    assert "urlpath=lab%2Ftree%2Fa-book%2F" in link or "urlpath=lab/tree/a-book/" in link


@pytest.mark.parametrize("arguments, words", [
    (["add", "Anna"], "small letters"), (["add", "a;b"], "small letters"), (["add"], "no names given"),
    (["reset", "zoe"], "zoe is not in the class"),
])
def test_students_names_the_rule(tmp_path, arguments, words):
    (tmp_path / "state").mkdir()
    done = subprocess.run([sys.executable, str(MACHINE / "students.py"), "--prefix", str(tmp_path), *arguments],
                          capture_output=True, text=True)
    expected = words if os.geteuid() == 0 else "must run as root"
    assert done.returncode == 1 and expected in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "state" / "class.txt").exists()


def test_start_passwords_are_long_and_differ():
    space = {"__name__": "students"}
    exec(compile((MACHINE / "students.py").read_text(), "students.py", "exec"), space)
    words = {space["password"]() for _ in range(50)}
    assert len(words) == 50 and all(re.fullmatch(r"([a-z2-9]{4}-){2}[a-z2-9]{4}", word) for word in words)


def test_shell_scripts_parse():
    scripts = [path for path in files() if path.suffix == ".sh"]
    assert scripts
    for path in scripts:
        subprocess.run(["bash", "-n", str(path)], check=True)
        assert os.access(path, os.X_OK), path
        assert "set -euo pipefail" in path.read_text()


def test_python_files_compile():
    for path in files():
        if path.suffix == ".py":
            compile(path.read_text(encoding="utf8"), str(path), "exec")


def test_install_refuses_an_old_python_in_one_line(tmp_path):
    fake = tmp_path / "python3"
    fake.write_text(f"#!/bin/sh\nsed 's/v = sys.version_info/import types; v = types.SimpleNamespace(major=3, minor=9, micro=1)/; "
                    f"s/if v </if (v.major, v.minor, v.micro) </' | exec {sys.executable} -\n")
    fake.chmod(0o755)
    for tool in ("npm", "node", "useradd", "git", "prlimit", "setpriv"):
        (tmp_path / tool).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / tool).chmod(0o755)
    done = subprocess.run(["bash", str(MACHINE / "install.sh")], capture_output=True, text=True,
                          env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PREFIX": str(tmp_path / "hub"), "PYTHON": str(fake)})
    expected = "Python 3.11.5 or later; this is 3.9.1" if os.geteuid() == 0 else "must run as root"
    assert done.returncode == 1 and expected in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "hub").exists()


def requirements(path):
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf8").splitlines())
    return [Requirement(line) for line in lines if line]


def test_requirements_agree_with_the_book():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    floors = {canonicalize_name(r.name): r.specifier for r in map(Requirement, wanted) if r.name != "entropy-lab"}
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    for folder in ("one-machine", "kubernetes"):
        for requirement in requirements(ROOT / "deploy" / folder / "requirements.txt"):
            name = canonicalize_name(requirement.name)
            if name in floors:
                assert requirement.specifier == floors[name], f"{folder}: {requirement}"
            if name in pins:
                assert requirement.specifier.contains(pins[name]), f"{folder}: {requirement}"
            else:
                assert str(requirement.specifier).startswith("=="), f"{folder}: {requirement} must be pinned"


def test_values_parse_and_close_the_door():
    values = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "values.yaml").read_text())
    config = values["hub"]["config"]
    assert config["Authenticator"]["allow_all"] is False and config["Authenticator"]["allowed_users"]
    assert set(config["Authenticator"]["admin_users"]) <= set(config["Authenticator"]["allowed_users"])
    assert config["FirstUseAuthenticator"]["create_users"] is False
    assert values["singleuser"]["memory"]["limit"] and values["singleuser"]["cpu"]["limit"] and values["cull"]["enabled"]
    hook = values["singleuser"]["lifecycleHooks"]["postStart"]["exec"]["command"][-1]
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    address = config["repository"]["url"]
    assert f"gitpuller {address} " in hook and hook.endswith("|| true")
    assert values["singleuser"]["defaultUrl"] == f"/lab/tree/{address.rsplit('/', 1)[1]}"
    gateway = yaml.safe_load((ROOT / "deploy" / "dask" / "gateway-values.yaml").read_text())
    assert gateway["gateway"]["backend"]["image"] == values["singleuser"]["image"], "workers run the students' image"


def test_image_copies_what_there_is():
    text = (ROOT / "deploy" / "kubernetes" / "Dockerfile").read_text()
    for line in re.findall(r"(?m)^COPY (.+)$", text):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


def test_no_host_of_a_registry_is_named():
    hosts = ["py" + "pi.org", "python" + "hosted", "npm" + "js", "ghcr" + ".io", "quay" + ".io", "docker" + ".io", "gcr" + ".io",
             "deb" + "ian.org", "download.py" + "torch"]
    for path in files() + [Path(__file__)]:
        text = path.read_text(encoding="utf8")
        assert not [host for host in hosts if host in text], path


def test_links_of_the_guide_lead_somewhere():
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (ROOT / "deploy" / target).exists(), target


def test_spread_names_the_rule():
    script = str(ROOT / "deploy" / "dask" / "spread.py")
    for arguments, words in ((["--gateway", "0", "compare", "trap"], "gateway must be 1 or more workers; got 0"),
                             (["--scheduler", "tcp://x:1", "compare", "trap", "--jobs", "2"], "jobs must not be given"),
                             (["--scheduler", "tcp://x:1", "sweep"], "parts must be given")):
        done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1
