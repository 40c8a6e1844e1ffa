"""The class: accounts on this machine and the list of those who may enter the hub. Run as root.

    students.py add anna ben          accounts, and a start password for each, printed once
    students.py add --file names.txt  the same for a file with one name a line
    students.py add --choose anna     no start password: the first who logs in as anna chooses it
    students.py list                  who may enter
    students.py reset anna            a new start password for one who forgot
    students.py remove anna           out of the class; the files stay (--with-files deletes them too)

Run it with the hub's own Python: PREFIX/env/bin/python PREFIX/book/deploy/one-machine/students.py
"""

import argparse
import dbm
import os
import pwd
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike
MARK = "Entropy Lab student"  # in the account's comment: this script removes no other account


def read(file):
    """{name: start} of the class list; empty where there is none yet."""
    if not file.exists():
        return {}
    return dict(line.split(" ", 1) for line in file.read_text(encoding="utf8").splitlines())


def write(file, entries):
    """The list in one step, readable by root alone."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text("".join(f"{name} {start}\n" for name, start in sorted(entries.items())), encoding="utf8")
    new.replace(file)


def checked(names):
    """Names that can be an account and a hub user, or ValueError with the rule."""
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"a name must have 2 to 31 small letters, digits or -, and begin with a letter; got {name!r}")
    if not names:
        raise ValueError("no names given")
    return list(dict.fromkeys(names))


def password():
    """A start password: 60 bits, easy to type."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))


def hashed(word):
    import bcrypt

    return bcrypt.hashpw(word.encode(), bcrypt.gensalt()).decode()


def make_account(name, homes):
    """A system account that can log in nowhere but at the hub, its home closed to others."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--base-dir", str(homes), "--user-group", "--shell", "/bin/bash",
                        "--comment", MARK, "--key", "HOME_MODE=0700", name], check=True)
        entry = pwd.getpwnam(name)
    if entry.pw_gecos != MARK:
        raise ValueError(f"{name} is already an account of this machine and no student's: choose another name")
    if os.stat(entry.pw_dir).st_uid != entry.pw_uid:  # files that stayed when the same name left the class
        subprocess.run(["chown", "--recursive", "--no-dereference", f"{name}:", entry.pw_dir], check=True)
    os.chmod(entry.pw_dir, 0o700)


def forget(state, name):
    """The password of a student, where there is one."""
    path = str(state / "passwords")
    if dbm.whichdb(path):
        with dbm.open(path, "w") as passwords:
            if name.encode() in passwords:
                del passwords[name.encode()]


def add(options, state, file):
    names = list(options.names)
    if options.file:
        names += [line.strip() for line in Path(options.file).read_text(encoding="utf8").splitlines() if line.strip()]
    entries = read(file)
    for name in checked(names):
        make_account(name, options.homes)
        if name in entries:
            print(f"{name}\tis in the class already")
            continue
        word = None if options.choose else password()
        entries[name] = hashed(word) if word else "*"
        write(file, entries)
        print(f"{name}\t{word or 'chooses a password at the first login'}")


def reset(options, state, file):
    entries = read(file)
    for name in checked(options.names):
        if name not in entries:
            raise ValueError(f"{name} is not in the class")
        word = password()
        entries[name] = hashed(word)
        write(file, entries)
        forget(state, name)
        print(f"{name}\t{word}")


def end_processes(uid):
    """End what an account still runs: politely, then for good."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        left = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and owner(p) == uid]
        for pid in left:
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                pass
        for _ in range(50 if left else 0):
            if not any(owner(Path("/proc") / str(pid)) == uid for pid in left):
                break
            time.sleep(0.1)


def owner(path):
    """The real user of a process that still runs, or None."""
    try:
        words = (path / "status").read_text()
    except OSError:
        return None
    if re.search(r"^State:\s+Z", words, re.M):
        return None
    return int(re.search(r"^Uid:\s+(\d+)", words, re.M).group(1))


def remove(options, state, file):
    entries = read(file)
    for name in checked(options.names):
        entry = pwd.getpwnam(name) if name in {e.pw_name for e in pwd.getpwall()} else None
        if entry and entry.pw_gecos != MARK:
            raise ValueError(f"{name} is no student's account, and stays")
        if name not in entries and not entry:
            raise ValueError(f"{name} is not in the class")
        entries.pop(name, None)
        write(file, entries)
        forget(state, name)
        if entry:
            end_processes(entry.pw_uid)
            subprocess.run(["userdel", *(["--remove"] if options.with_files else []), name], check=True,
                           stderr=subprocess.DEVNULL)
            if not options.with_files:
                os.chown(entry.pw_dir, 0, 0)  # a later account may get the same number
        kept = "" if options.with_files or not entry else f"; the files stay in {entry.pw_dir}"
        print(f"{name}\tis out{kept}")


def show(options, state, file):
    for name, start in read(file).items():
        print(f"{name}\t{'chooses a password' if start == '*' else 'has a start password'}")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="students.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", type=Path, default=Path(os.environ.get("ENTROPY_LAB_HUB", "/opt/entropy-lab")),
                        help="where the hub was installed (default /opt/entropy-lab)")
    commands = parser.add_subparsers(required=True, metavar="add | list | reset | remove")
    for name, function in (("add", add), ("list", show), ("reset", reset), ("remove", remove)):
        command = commands.add_parser(name)
        command.set_defaults(do=function)
        if name != "list":
            command.add_argument("names", nargs="*")
        if name == "add":
            command.add_argument("--file", help="a file with one name a line")
            command.add_argument("--choose", action="store_true", help="no start password")
            command.add_argument("--homes", type=Path, default=Path("/home"), help="where the homes go (default /home)")
        if name == "remove":
            command.add_argument("--with-files", action="store_true", help="delete the home too")
    options = parser.parse_args(arguments)
    state = options.prefix / "state"
    try:
        if os.geteuid() != 0:
            raise ValueError("must run as root: it makes accounts; try sudo")
        if not state.is_dir():
            raise ValueError(f"no hub in {options.prefix}: run install.sh, or name it with --prefix")
        options.do(options, state, state / "class.txt")
    except (ValueError, OSError) as error:
        sys.exit(f"students.py: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"students.py: {' '.join(map(str, error.cmd))} failed")


if __name__ == "__main__":
    main()
