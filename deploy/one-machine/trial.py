"""A class that is not there: twenty students at a real hub on this machine, measured. Run as root, after install.sh:

    PREFIX/env/bin/python deploy/one-machine/trial.py --prefix PREFIX

Makes accounts lab-trial-01 ... and a folder of its own, starts hub and proxy on free ports, and removes all of it at
the end. It talks to 127.0.0.1 alone. Ends with a table and, where something failed, with exit code 1.
"""

import argparse
import atexit
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlencode

import requests
import websocket

HERE = Path(__file__).resolve().parent
LAB = "notebooks/jaynes/maximum-entropy-labels.ipynb"  # light: NumPy alone
OTHER = "notebooks/waves/knots.ipynb"                   # one that the students leave alone
FAILURES = []


def check(true, words):
    """Note what did not hold, and go on."""
    print(f"  {'ok    ' if true else 'FAILED'} {words}", flush=True)
    if not true:
        FAILURES.append(words)
    return true


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def processes(uid):
    """The process numbers of an account."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "status").read_text()
            except OSError:
                continue
            if re.search(rf"^Uid:\s+{uid}\s", words, re.M) and not re.search(r"^State:\s+Z", words, re.M):
                found.append(int(folder.name))
    return found


def megabytes(pids):
    """Memory of processes, shared pages counted in proportion (PSS)."""
    total = 0
    for pid in pids:
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1))
        except (OSError, AttributeError):
            continue  # ended in between
    return total / 1024


class Peak(threading.Thread):
    """The largest memory of an account while a block runs."""

    def __init__(self, uid):
        super().__init__(daemon=True)
        self.uid, self.value, self.over = uid, 0.0, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            self.value = max(self.value, megabytes(processes(self.uid)))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Hub:
    """Hub and proxy in a folder of their own, from the files that install.sh uses."""

    def __init__(self, prefix, book, users, memory):
        self.room = Path(tempfile.mkdtemp(prefix="entropy-trial-"))
        self.room.chmod(0o755)
        self.names = [f"lab-trial-{i + 1:02d}" for i in range(users)]
        taken = {entry.pw_name for entry in pwd.getpwall()} & set(self.names)
        if taken:
            sys.exit(f"trial.py: accounts of an earlier trial are there; remove them first: userdel -r {' '.join(sorted(taken))}")
        for name in ("env", "proxy"):
            (self.room / name).symlink_to(prefix / name)
        for name in ("etc", "homes"):
            (self.room / name).mkdir()
        (self.room / "state").mkdir(mode=0o700)
        self.env = {**os.environ, "ENTROPY_LAB_HUB": str(self.room), "PATH": f"{self.room}/env/bin:{os.environ['PATH']}",
                    "GIT_CONFIG_SYSTEM": str(self.room / "gitconfig-trial"), "ENTROPY_LAB_HUB_PORT": str(free_port()),
                    "ENTROPY_LAB_PROXY_PORT": str(free_port())}
        (self.room / "gitconfig-trial").write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = trial\n\temail = trial@localhost\n")
        self.git("clone", "-q", book, self.room / "source")      # the lecturer's clone
        self.git("clone", "-q", self.room / "source", self.room / "book")
        self.files = self.room / "book" / "deploy" / "one-machine"
        (self.room / "etc" / "gitconfig").write_text((self.files / "gitconfig.in").read_text().replace("@PREFIX@", str(self.room)))
        self.base = f"http://127.0.0.1:{free_port()}"
        settings = (self.files / "settings.toml").read_text()
        settings = re.sub(r'(?m)^address = "[^"]*"', f'address = "{self.base}"', settings)
        settings = re.sub(r'(?m)^memory = "[^"]*"', f'memory = "{memory}"', settings)
        (self.room / "etc" / "settings.toml").write_text(settings)
        self.process, self.log = None, self.room / "hub.log"

    def git(self, *arguments):
        return run("git", *arguments, env=self.env)

    def students(self, *arguments):
        return run(self.room / "env" / "bin" / "python", self.files / "students.py", "--prefix", self.room, *arguments)

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [str(self.room / "env" / "bin" / "jupyterhub"), f"--config={self.files / 'jupyterhub_config.py'}"],
                cwd=self.room / "state", env=self.env, stdout=log, stderr=subprocess.STDOUT)
        began = time.monotonic()
        while time.monotonic() - began < 180:
            if self.process.poll() is not None:
                raise RuntimeError(f"the hub stopped at once:\n{self.log.read_text()[-3000:]}")
            try:
                if requests.get(f"{self.base}/hub/login", timeout=5).ok:
                    return time.monotonic() - began
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise RuntimeError("the hub did not answer within three minutes")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def clean(self):
        """No account, no process and no file of the trial stays."""
        self.stop()
        there = [name for name in self.names if name in {e.pw_name for e in pwd.getpwall()}]
        uids = [pwd.getpwnam(name).pw_uid for name in there]
        if there:
            self.students("remove", "--with-files", *there)
        left = [pid for uid in uids for pid in processes(uid)]
        pid_file = self.room / "state" / "proxy.pid"
        proxy = pid_file.exists() and Path(f"/proc/{pid_file.read_text().strip()}").exists()
        return not left and not proxy and not set(self.names) & {e.pw_name for e in pwd.getpwall()}


class Student:
    """A browser with one student in front of it."""

    def __init__(self, hub, name, word):
        self.hub, self.name, self.word = hub, name, word
        self.entry = pwd.getpwnam(name)
        self.home = Path(self.entry.pw_dir)
        self.page = requests.Session()

    def url(self, path, name=None):
        return f"{self.hub.base}/user/{name or self.name}/{path}"

    def token(self, path):
        """The cookie that forms send back."""
        return next((c.value for c in self.page.cookies if c.name == "_xsrf" and c.path == path), "")

    def login(self):
        """True when the hub lets this student in."""
        self.page.get(f"{self.hub.base}/hub/login", timeout=60)
        form = {"username": self.name, "password": self.word, "_xsrf": self.token("/hub/")}
        answer = self.page.post(f"{self.hub.base}/hub/login", data=form, timeout=120, allow_redirects=False)
        return answer.status_code == 302

    def visit(self, limit=240):
        """From the hub's address to one's own server, as a browser is led; seconds that it took."""
        began = time.monotonic()
        while time.monotonic() - began < limit:
            answer = self.page.get(f"{self.hub.base}/hub/spawn", timeout=120)
            if answer.ok and answer.url.startswith(self.url("")):
                return time.monotonic() - began
            if "Spawn failed" in answer.text:
                raise RuntimeError(f"the server of {self.name} did not start: {answer.status_code}")
            time.sleep(0.3)
        raise RuntimeError(f"the server of {self.name} did not answer within {limit} s")

    def leave(self):
        """Stop one's own server, as the button does."""
        self.page.get(f"{self.hub.base}/hub/home", timeout=60)
        header = {"X-XSRFToken": self.token("/hub/"), "Referer": f"{self.hub.base}/hub/home"}
        self.page.delete(f"{self.hub.base}/hub/api/users/{self.name}/server", headers=header, timeout=120).raise_for_status()
        for _ in range(300):
            if not processes(self.entry.pw_uid):
                return
            time.sleep(0.1)

    def call(self, method, path, **more):
        header = {"X-XSRFToken": self.token(f"/user/{self.name}/"), "Referer": self.url("lab")}
        return self.page.request(method, self.url(path), headers=header, timeout=120, **more)

    def socket(self, path):
        cookie = self.page.prepare_request(requests.Request("GET", self.url(path))).headers.get("Cookie", "")
        address = self.url(path).replace("http", "ws", 1)
        return websocket.create_connection(f"{address}{'&' if '?' in path else '?'}_xsrf={self.token(f'/user/{self.name}/')}",
                                           cookie=cookie, origin=self.hub.base, timeout=300)

    def kernel(self, notebook):
        answer = self.call("POST", "api/sessions", json={"path": f"{FOLDER}/{notebook}", "name": notebook, "type": "notebook",
                                                         "kernel": {"name": "python3"}})
        answer.raise_for_status()
        return answer.json()["kernel"]["id"]

    def execute(self, channel, code):
        """What a cell says, and its error or None."""
        number = uuid.uuid4().hex
        channel.send(json.dumps({
            "channel": "shell", "parent_header": {}, "metadata": {}, "buffers": [],
            "header": {"msg_id": number, "msg_type": "execute_request", "username": self.name, "session": number, "version": "5.3"},
            "content": {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}}))
        said, error, replied, idle = [], None, False, False
        while not (replied and idle):
            message = json.loads(channel.recv())
            if message.get("parent_header", {}).get("msg_id") != number:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                said.append(content["text"])
            elif kind == "execute_reply":
                replied = True
                if content["status"] == "error":
                    error = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                idle = True
        return "".join(said), error

    def lab(self, notebook):
        """A lab from top to bottom: (seconds, peak memory, memory at the end, memory without the kernel, cells, error)."""
        cells = self.call("GET", f"api/contents/{quote(f'{FOLDER}/{notebook}')}").json()["content"]["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        began, error = time.monotonic(), None
        with Peak(self.entry.pw_uid) as peak:
            kernel = self.kernel(notebook)
            channel = self.socket(f"api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}")
            for source in code:
                _, error = self.execute(channel, source)
                if error:
                    break
            took = time.monotonic() - began
            at_end = megabytes(processes(self.entry.pw_uid))
        channel.close()
        self.call("DELETE", f"api/kernels/{kernel}").raise_for_status()
        time.sleep(1)
        return took, max(peak.value, at_end), at_end, megabytes(processes(self.entry.pw_uid)), len(code), error

    def ask(self, code):
        """What Python says on this student's server."""
        kernel = self.kernel(LAB)
        channel = self.socket(f"api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}")
        try:
            said, error = self.execute(channel, code)
        finally:
            channel.close()
            self.call("DELETE", f"api/kernels/{kernel}")
        return said.strip() or error or ""

    def terminal(self, command):
        """What a terminal of this student's server shows."""
        name = self.call("POST", "api/terminals").json()["name"]
        channel = self.socket(f"terminals/websocket/{name}")
        channel.settimeout(30)
        channel.send(json.dumps(["stdin", f"{command}; echo do''ne\r"]))
        shown = ""
        while "done" not in shown:
            kind, *text = json.loads(channel.recv())
            if kind == "stdout":
                shown += text[0]
        channel.close()
        self.call("DELETE", f"api/terminals/{name}")
        return shown


def one_after_another(students):
    rows = []
    for student in students:
        if not check(student.login(), f"{student.name} logs in"):
            continue
        start = student.visit()
        whole = student.home / FOLDER / LAB
        check(whole.is_file() and whole.stat().st_uid == student.entry.pw_uid, f"{student.name} has a copy of the book")
        lab = student.lab(LAB)
        check(lab[-1] is None, f"{student.name}: {lab[4]} cells in {lab[0]:.1f} s, {lab[1]:.0f} MB; server after {start:.1f} s"
              + (f" {lab[-1]}" if lab[-1] else ""))
        rows.append((start, *lab))
    return rows


def at_once(students):
    for student in students:
        student.leave()

    def one(student):
        fresh = Student(student.hub, student.name, student.word)
        if not fresh.login():
            return student.name, None, "no login"
        start = fresh.visit()
        return student.name, start, fresh.lab(LAB)

    with ThreadPoolExecutor(len(students)) as pool:
        found = list(pool.map(one, students))
    rows = []
    for name, start, lab in found:
        if check(start is not None and lab[-1] is None, f"{name} at the same time as the others"):
            rows.append((start, *lab))
    return rows


def work_survives(student):
    """A change, saved as JupyterLab does; then the server is killed. Seconds until the server is back."""
    path = f"api/contents/{quote(f'{FOLDER}/{LAB}')}"
    notebook = student.call("GET", path).json()["content"]
    notebook["cells"].append({"cell_type": "markdown", "id": "mine", "metadata": {}, "source": "what I found"})
    student.call("PUT", path, json={"type": "notebook", "format": "json", "content": notebook}).raise_for_status()
    (student.home / FOLDER / "my-notes.txt").write_text("only mine")
    os.chown(student.home / FOLDER / "my-notes.txt", student.entry.pw_uid, student.entry.pw_gid)
    mine = (student.home / FOLDER / LAB).read_bytes()
    servers = [pid for pid in processes(student.entry.pw_uid)
               if b"jupyterhub-singleuser" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    check(len(servers) == 1, "the student has one server")
    os.kill(servers[0], signal.SIGKILL)
    began = time.monotonic()
    student.visit()
    took = time.monotonic() - began
    again = student.call("GET", path).json()["content"]["cells"][-1]["source"]
    check(again == "what I found" and (student.home / FOLDER / LAB).read_bytes() == mine,
          f"a killed server comes back at the next visit, after {took:.1f} s, with the changed notebook")
    left = [pid for pid in servers if Path(f"/proc/{pid}").exists()]
    check(not left, "nothing of the killed server is left")
    return took


def updates_are_kind(hub, changed, other):
    """The lecturer changes two labs and adds a page; who changed a file keeps it, whole."""
    mine = (changed.home / FOLDER / LAB).read_bytes()
    for name in (LAB, OTHER):
        file = hub.room / "source" / name
        notebook = json.loads(file.read_text(encoding="utf8"))
        notebook["cells"][0]["source"] = ["# Changed by the lecturer"]
        file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    (hub.room / "source" / "notebooks" / "new.md").write_text("a new page\n")
    hub.git("-C", hub.room / "source", "add", "-A")
    hub.git("-C", hub.room / "source", "commit", "-qm", "In mid-term")
    hub.git("-C", hub.room / "book", "pull", "-q", "--ff-only")
    changed.leave()
    changed.visit()
    own = changed.home / FOLDER
    check((own / LAB).read_bytes() == mine, "an update leaves the changed notebook as it was, to the byte")
    check((own / "my-notes.txt").read_text() == "only mine", "and a file of one's own")
    check((own / OTHER).read_bytes() == (hub.room / "source" / OTHER).read_bytes(), "and brings the other notebook up to date")
    check((own / "notebooks" / "new.md").is_file(), "and the new page")
    (own / LAB).unlink()
    changed.leave()
    changed.visit()
    check((own / LAB).read_bytes() == (hub.room / "source" / LAB).read_bytes(),
          "a notebook that the student deletes comes back as the book has it")

    branch = hub.git("-C", hub.room / "book", "branch", "--show-current").strip()
    link = {"repo": f"file://{hub.room}/book", "urlpath": f"lab/tree/{FOLDER}/{OTHER}", "branch": branch}
    page = other.page.get(f"{hub.base}/hub/user-redirect/git-pull?" + urlencode(link, quote_via=quote), timeout=120)
    check(page.ok and page.url.startswith(other.url("git-pull")), "a link of the book opens nbgitpuller on the student's server")
    stream = other.call("GET", "git-pull/api?" + urlencode({**link, "targetpath": FOLDER}, quote_via=quote)).text
    check('"phase": "finished"' in stream, "nbgitpuller finishes")
    check((other.home / FOLDER / OTHER).read_bytes() == (hub.room / "source" / OTHER).read_bytes(),
          "and the copy is up to date without a restart of the server")


def walls_hold(hub, thief, victim):
    """One student after another's files, by every way that comes to mind."""
    secret = victim.home / FOLDER / "my-notes.txt"
    secret.write_text("only mine")
    os.chown(secret, victim.entry.pw_uid, victim.entry.pw_gid)
    answer = thief.page.get(thief.url(f"api/contents/{FOLDER}/my-notes.txt", victim.name), timeout=60)
    check(answer.status_code in (403, 404) and "only mine" not in answer.text,
          f"another's contents API says {answer.status_code}")
    answer = thief.call("GET", f"api/contents/{quote(f'../{victim.name}/{FOLDER}/my-notes.txt', safe='/')}")
    check(not answer.ok or "only mine" not in answer.text, f"a path out of one's own folder says {answer.status_code}")
    shown = thief.terminal(f"cat {secret}; ls {victim.home}")
    check(shown.count("Permission denied") == 2 and "only mine" not in shown, "a terminal: permission denied")
    for path, words in ((secret, "another's file"), (hub.room / "state" / "cookie-secret", "the hub's secret"),
                        (hub.room / "state" / "class.txt", "the class list")):
        said = thief.ask(f"try:\n    print(open({str(path)!r}).read())\nexcept OSError as error:\n    print(type(error).__name__)")
        check(said == "PermissionError", f"a kernel that opens {words}: {said[:60]}")
    said = thief.ask(f"try:\n    open({str(hub.room / 'book' / 'README.md')!r}, 'a')\nexcept OSError as error:\n"
                     f"    print(type(error).__name__)\nprint(len(open({str(hub.room / 'book' / 'README.md')!r}).read()) > 99)")
    check(said.split() == ["PermissionError", "True"], "the shared book can be read and not be written")
    pid = next(p for p in processes(victim.entry.pw_uid) if b"singleuser" in Path(f"/proc/{p}/cmdline").read_bytes())
    said = thief.ask(f"try:\n    print(open('/proc/{pid}/environ').read())\nexcept OSError as error:\n    print(type(error).__name__)")
    check(said == "PermissionError", "another's environment, which holds tokens: not to be read")
    address = re.search(rb"JUPYTERHUB_SERVICE_URL=(\S+?)\0", Path(f"/proc/{pid}/environ").read_bytes()).group(1).decode()
    said = thief.ask(f"import requests\na = requests.get({address + 'api/contents'!r}, allow_redirects=False)\nprint(a.status_code, 'my-notes' in a.text)")
    check(said in ("403 False", "302 False"), f"another's server, asked past the proxy: {said}")
    try:
        inside = subprocess.run(["ls", str(victim.home)], user=thief.entry.pw_uid, group=thief.entry.pw_gid, extra_groups=[],
                                capture_output=True, text=True)
        check(inside.returncode != 0 and "Permission denied" in inside.stderr, "the file system, as that account: permission denied")
    except OSError as error:
        check(False, f"the file system: {error}")


def limits_hold(student, memory):
    number = int(memory[:-1]) * {"M": 2**20, "G": 2**30}[memory[-1]]
    said = student.ask(f"try:\n    b = bytearray({number + 2**27})\n    print('got it')\nexcept MemoryError:\n    print('MemoryError')")
    check(said == "MemoryError", f"a cell that asks for more than {memory}: {said}")
    said = student.ask("import os\nprint(os.nice(0))")
    check(said == "5", "students' processes stand back behind the hub's")


def strangers_stay_out(hub, student):
    nobody = Student.__new__(Student)
    nobody.hub, nobody.name, nobody.word, nobody.page = hub, "nobody-listed", "a-long-password", requests.Session()
    check(not nobody.login(), "a name that is not in the class list is not let in")
    wrong = Student(hub, student.name, "not-the-password")
    check(not wrong.login(), "a wrong password is not let in")


def table(rows):
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def middle(values, unit="s", digits=1):
    return f"median {statistics.median(values):.{digits}f} {unit}, worst {max(values):.{digits}f} {unit}"


def load():
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def main():
    global FOLDER
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", type=Path, default=Path("/opt/entropy-lab"), help="what install.sh made (default /opt/entropy-lab)")
    parser.add_argument("--book", type=Path, help="a clone of the book to try instead of PREFIX/book")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--together", type=int, default=4, help="how many at the same time (default 4)")
    parser.add_argument("--memory", default="1G", help="limit for the trial (default 1G)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("trial.py: must run as root: it makes accounts and removes them")
    if not (options.prefix / "env" / "bin" / "jupyterhub").exists():
        sys.exit(f"trial.py: no hub in {options.prefix}: run install.sh first, or name it with --prefix")
    if not 2 <= options.together <= options.users <= 99:
        sys.exit(f"trial.py: needs 2 <= together <= users <= 99; got {options.together} and {options.users}")
    hub = Hub(options.prefix, options.book or options.prefix / "book", options.users, options.memory)
    atexit.register(lambda: shutil.rmtree(hub.room, ignore_errors=True))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("trial.py: stopped"))
    found = re.search(r"^repository:\n  url: \S+/(\S+)$", (hub.room / "book" / "_config.yml").read_text(), re.M)
    FOLDER = found.group(1)
    rows, before, students, middle_load = [], load(), [], ""

    def phase(function, *arguments):
        """One part of the trial; when it breaks off, the next ones still run."""
        try:
            return function(*arguments)
        except Exception as error:
            check(False, f"{function.__name__} broke off: {type(error).__name__}: {error}")

    try:
        words = dict(line.split("\t") for line in hub.students("add", "--homes", str(hub.room / "homes"), *hub.names).splitlines())
        rows.append(("hub and proxy start", f"{hub.start():.1f} s"))
        students = [Student(hub, name, words[name]) for name in hub.names]
        phase(strangers_stay_out, hub, students[0])
        if alone := phase(one_after_another, students):
            middle_load = load()
            everyone = sum(megabytes(processes(s.entry.pw_uid)) for s in students)
            servers = {pid for student in students for pid in processes(student.entry.pw_uid)}
            own = megabytes({hub.process.pid, *map(int, run("pgrep", "-P", str(hub.process.pid)).split())} - servers)
            copy = sum(f.lstat().st_size for f in students[-1].home.rglob("*")) / 1e6
            rows += [
                (f"server start, {len(alone)} one after another", middle([r[0] for r in alone])),
                ("the lab, one after another", middle([r[1] for r in alone])),
                ("memory of a student, lab running (peak)", middle([r[2] for r in alone], "MB", 0)),
                ("memory of a student, server alone", middle([r[4] for r in alone], "MB", 0)),
                (f"memory of all {len(alone)} servers, no lab running", f"{everyone:.0f} MB"),
                ("memory of hub, proxy and culler", f"{own:.0f} MB"),
                ("disk of a student's home", f"{copy:.0f} MB"),
            ]
        if together := phase(at_once, students[:options.together]):
            rows += [
                (f"server start, {len(together)} at once", middle([r[0] for r in together])),
                (f"the lab, {len(together)} at once", middle([r[1] for r in together])),
            ]
        students = [Student(hub, s.name, s.word) for s in students]
        for student in students[:2]:
            phase(student.login)
            phase(student.visit)
        if back := phase(work_survives, students[0]):
            rows.append(("a killed server is back after", f"{back:.1f} s"))
        phase(updates_are_kind, hub, students[0], students[1])
        phase(walls_hold, hub, students[1], students[0])
        phase(limits_hold, students[1], options.memory)
        rows.append(("load of the machine before / in the middle / after", f"{before} / {middle_load} / {load()}"))
    except Exception as error:
        check(False, f"stopped: {type(error).__name__}: {error}")
    finally:
        if FAILURES and hub.log.exists():
            print(hub.log.read_text()[-6000:], file=sys.stderr)
        check(hub.clean(), "no account, no process of the trial is left")
    rows.append(("failures", str(len(FAILURES) or "none")))
    print("\n" + table(rows))
    for words in FAILURES:
        print(f"FAILED {words}")
    sys.exit(bool(FAILURES))


if __name__ == "__main__":
    main()
