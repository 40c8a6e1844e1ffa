"""A sweep of the book on a Dask cluster: the same command as on one machine, with the cluster before it.

    python deploy/dask/spread.py --scheduler tcp://HOST:8786 compare trap --output trap.json
    python deploy/dask/spread.py --gateway 16 compare transformer --output transformer.json
    python deploy/dask/spread.py --scheduler tcp://HOST:8786 sweep --parts /shared/parts --output sweep.json

`sweep` keeps finished runs in a folder; all workers must see the one that --parts names.
"""

import argparse
import importlib
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

MODULES = {"compare": "labutils.policy.compare", "sweep": "labutils.policy.sweep"}


@contextmanager
def cluster(options):
    """A client of the cluster that was asked for."""
    from distributed import Client

    if options.scheduler:
        try:
            client = Client(options.scheduler, timeout=20)
        except (OSError, ValueError) as error:
            raise ValueError(f"scheduler must be the address of a Dask scheduler, such as tcp://host:8786; got "
                             f"{options.scheduler!r} ({error})") from None
        with client:
            yield client
        return
    from dask_gateway import Gateway

    with Gateway().new_cluster() as started, started.get_client() as client:
        started.scale(options.gateway)
        client.wait_for_workers(options.gateway)
        yield client


def same_everywhere(client):
    """The packages that decide about numbers must be those from here."""
    def version():
        import numpy
        import labutils
        return labutils.__version__, numpy.__version__

    here, there = version(), client.run(version)
    if not there:
        raise ValueError("the cluster must have workers; it has none")
    for worker, found in there.items():
        if found != here:
            raise ValueError(f"workers must have the same packages as you: labutils, numpy are {here} here and {found} on {worker}")


def shared(client, folder):
    """The folder of parts must be one folder, seen by all workers."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder.resolve() / f"seen-{uuid.uuid4().hex}"
    mark.touch()
    try:
        blind = [worker for worker, seen in client.run(lambda path: Path(path).exists(), str(mark)).items() if not seen]
    finally:
        mark.unlink()
    if blind:
        raise ValueError(f"parts must be a folder that all workers see; {folder} is not seen by {', '.join(blind)}")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="spread.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--scheduler", help="address of a running scheduler")
    where.add_argument("--gateway", type=int, metavar="WORKERS", help="start so many workers through Dask Gateway")
    parser.add_argument("what", choices=list(MODULES))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="the arguments of labutils.policy.WHAT")
    options = parser.parse_args(arguments)
    try:
        if options.gateway is not None and options.gateway < 1:
            raise ValueError(f"gateway must be 1 or more workers; got {options.gateway}")
        if {"--jobs"} & {word.split("=")[0] for word in options.rest}:
            raise ValueError("jobs must not be given: the cluster decides")
        if options.what == "sweep" and not {"--parts"} & {word.split("=")[0] for word in options.rest}:
            raise ValueError("parts must be given: a folder that all workers see (--parts /shared/parts)")
        with cluster(options) as client:
            same_everywhere(client)
            if options.what == "sweep":
                known = argparse.ArgumentParser(add_help=False)
                known.add_argument("--parts", type=Path)
                shared(client, known.parse_known_args(options.rest)[0].parts)
            import joblib

            threads = sum(client.nthreads().values())
            with joblib.parallel_config(backend="dask", wait_for_workers_timeout=60):
                # 2 at least: joblib runs one job on this machine instead.
                importlib.import_module(MODULES[options.what]).main([*options.rest, "--jobs", str(max(2, threads))])
    except ValueError as error:
        sys.exit(f"spread.py: {error}")


if __name__ == "__main__":
    main()
