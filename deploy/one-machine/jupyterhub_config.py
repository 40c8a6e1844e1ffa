"""The hub of a class on one machine: read by JupyterHub at its start.

What a lecturer changes stands in PREFIX/etc/settings.toml; PREFIX is the variable ENTROPY_LAB_HUB, or
/opt/entropy-lab. The class is PREFIX/state/class.txt, written by students.py and read at each login.
"""

import asyncio
import dbm
import os
import pwd
import re
import stat
import sys
import tomllib
from pathlib import Path

import bcrypt
from firstuseauthenticator import FirstUseAuthenticator
from tornado import web

PREFIX = Path(os.environ.get("ENTROPY_LAB_HUB", "/opt/entropy-lab"))
BOOK, STATE = PREFIX / "book", PREFIX / "state"
CLASS = STATE / "class.txt"
BIN = PREFIX / "env" / "bin"
SETTINGS = {"address": str, "certificate": str, "key": str, "memory": str, "cpus": float, "processes": int,
            "idle_minutes": int, "at_once": int, "lecturers": list, "spawner": str}
FIRST_UID = 1000  # accounts below belong to the system


def refuse(words):
    """Stop with one line: a hub that is not sure who may enter does not start."""
    sys.exit(f"jupyterhub_config.py: {words}")


def settings():
    """PREFIX/etc/settings.toml, checked."""
    file = PREFIX / "etc" / "settings.toml"
    try:
        found = tomllib.loads(file.read_text(encoding="utf8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        refuse(f"cannot read the settings {file}: {error}")
    for name, kind in SETTINGS.items():
        if name not in found:
            refuse(f"{file} must have a line `{name} = ...`")
        if kind is float and type(found[name]) is int:
            found[name] = float(found[name])
        if type(found[name]) is not kind:
            refuse(f"{name} in {file} must be of type {kind.__name__}; got {found[name]!r}")
    for name in found.keys() - SETTINGS.keys():
        refuse(f"{name} in {file} is no setting; there are {', '.join(SETTINGS)}")
    if not re.fullmatch(r"[1-9]\d*[MG]", found["memory"]):
        refuse(f"memory in {file} must be a number with M or G, such as 2G; got {found['memory']!r}")
    for name in ("cpus", "processes", "idle_minutes", "at_once"):
        if found[name] <= 0:
            refuse(f"{name} in {file} must be above 0; got {found[name]!r}")
    if found["spawner"] not in ("auto", "systemd", "process"):
        refuse(f'spawner in {file} must be "auto", "systemd" or "process"; got {found["spawner"]!r}')
    if bool(found["certificate"]) != bool(found["key"]):
        refuse(f"certificate and key in {file} must be given together")
    return found


def the_class():
    """{name: hash of the start password, or "*" where the student chooses it} from the class list."""
    found = {}
    for line in CLASS.read_text(encoding="utf8").splitlines():
        name, _, start = line.partition(" ")
        if not re.fullmatch(r"[a-z][a-z0-9-]{1,30}", name) or not (start == "*" or start.startswith("$2")):
            raise ValueError(f"{CLASS} must have lines `name hash`, written by students.py; got {line!r}")
        found[name] = start
    return found


def account(name):
    """The system account of a student; KeyError without one, ValueError for one of the system's own."""
    entry = pwd.getpwnam(name)
    if entry.pw_uid < FIRST_UID:
        raise ValueError(f"{name} is an account of the system (uid {entry.pw_uid})")
    return entry


class ClassList(FirstUseAuthenticator):
    """Only the class may enter. The list is read again at each login, so a new student needs no restart."""

    def listed(self, name):
        """The entry of a name, or None: also when the list cannot be read."""
        try:
            return the_class().get(name)
        except (OSError, ValueError) as error:
            self.log.error("nobody is let in: %s", error)

    async def authenticate(self, handler, data):
        name = self.normalize_username(data["username"])
        start, word = self.listed(name), data["password"].encode()
        if start is None or len(word) > 72:  # bcrypt reads no more
            return None
        if start != "*" and not self.known(name) and not bcrypt.checkpw(word, start.encode()):
            return None
        return await super().authenticate(handler, data)

    def known(self, name):
        """True once a student has logged in and so has a password."""
        if not dbm.whichdb(self.dbm_path):
            return False
        with dbm.open(self.dbm_path, "r") as passwords:
            return name.encode() in passwords

    def check_allowed(self, username, authentication=None):
        return self.listed(username) is not None

    async def refresh_user(self, user, handler=None):
        return self.listed(user.name) is not None  # who left the list is out within minutes


async def bring_copy(spawner):
    """The student's own copy of the book, before the server starts: made, or brought up to date.

    nbgitpuller does it, under the student's account. Whatever goes wrong, the server starts with the copy as it was.
    """
    name = spawner.user.name
    try:
        entry = account(name)
    except (KeyError, ValueError) as error:
        spawner.log.error("no server for %s: %s", name, error)
        raise web.HTTPError(500, f"{name} has no account on this machine: students.py add {name}") from None
    environment = {"HOME": entry.pw_dir, "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
                   "GIT_CONFIG_SYSTEM": str(PREFIX / "etc" / "gitconfig")}
    process = await asyncio.create_subprocess_exec(
        str(BIN / "gitpuller"), f"file://{BOOK}", BRANCH, FOLDER, cwd=entry.pw_dir, env=environment,
        user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], umask=0o077, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 120)
    except asyncio.TimeoutError:
        process.kill()
        spawner.log.warning("the copy of %s was not brought up to date within two minutes", name)
        return
    if process.returncode:
        spawner.log.warning("the copy of %s was not brought up to date: %s", name, said.decode(errors="replace")[-2000:])


def branch():
    """The branch of the shared book, from its .git/HEAD."""
    head = BOOK / ".git" / "HEAD"
    try:
        return head.read_text(encoding="utf8").strip().removeprefix("ref: refs/heads/")
    except OSError:
        refuse(f"no clone of the book in {BOOK}: run install.sh")


def folder():
    """The folder of a student's copy: the last part of the book's address, as the links of the book expect it."""
    found = re.search(r"^repository:\n  url: \S+/([A-Za-z0-9_.-]+)$", (BOOK / "_config.yml").read_text("utf8"), re.M)
    return found.group(1) if found else "entropy-lab"


GIVEN = settings()
BRANCH, FOLDER = branch(), folder()
try:
    STUDENTS = the_class()
except OSError:
    refuse(f"there is no class list {CLASS}, and without one nobody may enter: run students.py add NAME ...")
except ValueError as error:
    refuse(error)
if not STUDENTS:
    refuse(f"the class list {CLASS} is empty, and without one nobody may enter: run students.py add NAME ...")
for student in STUDENTS:
    try:
        account(student)
    except ValueError as error:
        refuse(f"{CLASS}: {error}")
    except KeyError:
        print(f"jupyterhub_config.py: {student} has no account yet: run students.py add {student}", file=sys.stderr)
if stat.S_IMODE(STATE.stat().st_mode) & 0o077:
    refuse(f"{STATE} holds secrets and must be closed to others: chmod 700 {STATE}")
if strangers := set(GIVEN["lecturers"]) - STUDENTS.keys():
    refuse(f"lecturers must be in the class list too: students.py add {' '.join(sorted(strangers))}")

c = get_config()  # noqa: F821 - JupyterHub puts it there

# Who may enter. allow_all is said aloud: FirstUseAuthenticator opens the door to everyone when its list is empty.
c.JupyterHub.authenticator_class = ClassList
c.Authenticator.allow_all = False
c.Authenticator.allow_existing_users = False
c.Authenticator.any_allow_config = True
c.Authenticator.allowed_users = set(STUDENTS)
c.Authenticator.admin_users = set(GIVEN["lecturers"])
c.FirstUseAuthenticator.dbm_path = str(STATE / "passwords")
c.FirstUseAuthenticator.min_password_length = 10

# Where it listens, and what it keeps.
c.JupyterHub.bind_url = GIVEN["address"]
c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = GIVEN["certificate"], GIVEN["key"]
c.JupyterHub.hub_port = int(os.environ.get("ENTROPY_LAB_HUB_PORT", 8081))
c.JupyterHub.cookie_secret_file = str(STATE / "cookie-secret")
c.JupyterHub.db_url = f"sqlite:///{STATE / 'hub.sqlite'}"
c.JupyterHub.cleanup_servers = False  # students work on while the hub restarts
c.ConfigurableHTTPProxy.command = [str(PREFIX / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy")]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ.get('ENTROPY_LAB_PROXY_PORT', 8001)}"
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")

# A student's server.
c.Spawner.pre_spawn_hook = bring_copy
c.Spawner.default_url = f"/lab/tree/{FOLDER}"
c.Spawner.start_timeout = 180
c.Spawner.poll_interval = 10  # seconds until the hub notices that a server has died
c.Spawner.http_timeout = 90
c.Spawner.mem_limit, c.Spawner.cpu_limit = GIVEN["memory"], GIVEN["cpus"]
c.Spawner.environment = {
    "GIT_CONFIG_SYSTEM": str(PREFIX / "etc" / "gitconfig"),
    **{name: str(max(1, round(GIVEN["cpus"]))) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")},
}
c.JupyterHub.concurrent_spawn_limit = GIVEN["at_once"]

SERVER = str(BIN / "jupyterhub-singleuser")
systemd = GIVEN["spawner"] == "systemd" or (GIVEN["spawner"] == "auto" and Path("/run/systemd/system").is_dir())
if systemd:
    # The kernel of the machine counts all processes of a student together.
    c.JupyterHub.spawner_class = "systemd"
    c.Spawner.cmd = [SERVER]
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.isolate_devices = True
    c.SystemdSpawner.disable_user_sudo = True
    c.SystemdSpawner.extra_paths = [str(BIN)]
    c.SystemdSpawner.unit_extra_properties = {"TasksMax": str(GIVEN["processes"]), "UMask": "0077"}
    print("jupyterhub_config.py: limits by systemd: "
          f"{GIVEN['memory']} and {GIVEN['cpus']:g} CPUs for all processes of a student together", file=sys.stderr)
else:
    # prlimit limits each process by itself, and no share of the processors: nice keeps the hub quick.
    number = int(GIVEN["memory"][:-1]) * {"M": 2**20, "G": 2**30}[GIVEN["memory"][-1]]
    c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
    c.Spawner.cmd = ["nice", "-n", "5", "prlimit", f"--data={number}", f"--nproc={GIVEN['processes']}", "--core=0", SERVER]
    print(f"jupyterhub_config.py: systemd does not run here or is not wanted; limits by prlimit: {GIVEN['memory']} for each "
          f"process of a student, {GIVEN['processes']} processes and threads, and {GIVEN['cpus']:g} threads of numerics; "
          "processors are shared by nice alone", file=sys.stderr)

# Servers that nobody uses are stopped.
c.JupyterHub.services = [{
    "name": "idle-culler",
    "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={60 * GIVEN['idle_minutes']}",
                f"--cull-every={max(30, 60 * min(GIVEN['idle_minutes'], 20) // 2)}"],
}]
c.JupyterHub.load_roles = [{
    "name": "idle-culler", "services": ["idle-culler"],
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
}]
