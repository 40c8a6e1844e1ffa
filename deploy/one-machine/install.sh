#!/usr/bin/env bash
# Sets up a hub for a class on this machine, or brings it up to date: run it again after every change.
#
#   sudo deploy/one-machine/install.sh
#
# PREFIX=/opt/entropy-lab  where everything lives    PYTHON=python3  which Python to use
set -euo pipefail

PREFIX=${PREFIX:-/opt/entropy-lab}
PYTHON=${PYTHON:-python3}
PROXY=5.3.0 # configurable-http-proxy, from npm
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BOOK=$(cd "$HERE/../.." && pwd)

stop() { echo "install.sh: $*" >&2; exit 1; }
step() { echo "== $*"; }
# Through a shell, because setpriv itself still enters root's folders.
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '"$@"' sh "$@"; }

# What must be there.
[[ $(id -u) == 0 ]] || stop "must run as root, because students' servers run under their own accounts; try: sudo $0"
[[ $PREFIX =~ ^/[A-Za-z0-9/._-]+$ ]] || stop "PREFIX must be an absolute path of letters, digits and . _ - /; got '$PREFIX'"
for tool in git npm node prlimit setpriv useradd "$PYTHON"; do
    command -v "$tool" > /dev/null || stop "needs '$tool', which is not on this machine"
done
"$PYTHON" - << 'CHECK' || exit 1
import sys
v = sys.version_info
if v < (3, 11, 5):
    sys.exit("install.sh: the versions in constraints.txt need Python 3.11.5 or later; this is "
             f"{v.major}.{v.minor}.{v.micro} (PYTHON=... names another)")
CHECK
as_nobody "$PYTHON" -c "import ssl" 2> /dev/null || stop "students cannot run $(command -v "$PYTHON"): it lies in a folder that only root may enter; PYTHON=... names another"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '[safe]\n\tdirectory = *\n' > "$work/gitconfig" # the clone may belong to the lecturer, not to root
export GIT_CONFIG_SYSTEM=$work/gitconfig
git -C "$BOOK" rev-parse HEAD > /dev/null 2>&1 || stop "$BOOK must be a git clone of the book, with commits"

umask 022
mkdir -p "$PREFIX/etc"
install -d -m 700 "$PREFIX/state"
as_nobody test -x "$PREFIX" || stop "students must be able to enter $PREFIX; one of its parent folders is closed"

# The book, read-only for students: what is committed in the clone from which this script runs.
fill() { sed -e "s|@PREFIX@|$PREFIX|g" -e "s|@NODE@|$(dirname "$(command -v node)")|g" "$1"; }
fill "$HERE/gitconfig.in" > "$PREFIX/etc/gitconfig"
if [[ -d $PREFIX/book/.git ]]; then
    step "the book in $PREFIX/book is brought up to date"
    git -C "$PREFIX/book" remote set-url origin "$BOOK"
    git -C "$PREFIX/book" pull --quiet --ff-only ||
        stop "the book in $PREFIX/book cannot follow $BOOK: was history rewritten, or another branch checked out?"
else
    step "the book goes to $PREFIX/book"
    git clone --quiet "$BOOK" "$PREFIX/book"
fi
[[ -f $PREFIX/etc/settings.toml ]] || cp "$PREFIX/book/deploy/one-machine/settings.toml" "$PREFIX/etc/settings.toml"

step "Python packages go to $PREFIX/env (first time: several minutes)"
[[ -x $PREFIX/env/bin/python ]] || "$PYTHON" -m venv "$PREFIX/env"
pip=("$PREFIX/env/bin/python" -m pip --disable-pip-version-check --quiet)
source_tree=$work/book
mkdir "$source_tree"
git -C "$PREFIX/book" archive HEAD | tar -x -C "$source_tree"
"${pip[@]}" install --upgrade pip
"${pip[@]}" install -c "$source_tree/constraints.txt" -r "$source_tree/deploy/one-machine/requirements.txt" "$source_tree[lab]"
"${pip[@]}" install --no-deps --force-reinstall "$source_tree" # the same version number, newer lines

step "the proxy goes to $PREFIX/proxy"
if ! grep -qs "\"version\": \"$PROXY\"" "$PREFIX/proxy/node_modules/configurable-http-proxy/package.json"; then
    npm install --silent --no-audit --no-fund --prefix "$PREFIX/proxy" "configurable-http-proxy@$PROXY"
fi

if [[ -d /run/systemd/system ]]; then
    step "the service entropy-lab-hub"
    fill "$HERE/entropy-lab-hub.service.in" > /etc/systemd/system/entropy-lab-hub.service
    systemctl daemon-reload
    echo "Students next: sudo $PREFIX/env/bin/python $PREFIX/book/deploy/one-machine/students.py add anna ben"
    echo "Then:          sudo systemctl enable --now entropy-lab-hub   (restart after a change of settings)"
else
    echo "systemd does not run here: limits will be those of prlimit, and you start the hub yourself:"
    echo "    ENTROPY_LAB_HUB=$PREFIX PATH=$PREFIX/env/bin:\$PATH $PREFIX/env/bin/jupyterhub --config=$PREFIX/book/deploy/one-machine/jupyterhub_config.py"
fi
