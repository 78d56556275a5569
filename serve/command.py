"""The command `cinescribe serve`: the service on this machine, or on a Ray cluster, until Ctrl-C."""

import argparse
import errno
import logging
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from serve.app import Arguments

APP = "cinescribe"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="cinescribe serve",
        description="Search films over HTTP, with a page to find, play and hear moments; describe clips.",
        epilog="API keys, if any, are read from CINESCRIBE_API_KEYS (parted by commas) and --keys-file.",
    )
    p.add_argument("root", metavar="DIR", help="folder or s3:// prefix that `cinescribe index` was given")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    p.add_argument("--port", type=int, default=8000, help="default: %(default)s; 0: any free one")
    p.add_argument(
        "--name", action="append", default=[], metavar="HOST",
        help="host name the service is reached by, where a proxy hands requests on; may be repeated",
    )  # fmt: skip
    p.add_argument("--keys-file", default="", metavar="FILE", help="API keys, one a line")
    p.add_argument(
        "--allow", action="append", default=[], metavar="PREFIX",
        help="let queries name pictures and clips by addresses that begin so: s3://bucket/prefix, "
        "https://host/path; may be repeated (default: none)",
    )  # fmt: skip
    p.add_argument(
        "--media-root", action="append", default=[], metavar="DIR",
        help="serve films from under here only; may be repeated (default: where the table says they are)",
    )  # fmt: skip
    p.add_argument("--replicas", default="1", metavar="MIN-MAX", help="of each part (default: %(default)s)")
    p.add_argument(
        "--batch", type=int, default=16, metavar="N",
        help="most queries encoded together (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--threads", type=int, default=1, metavar="N", help="of each encoder (default: %(default)s)"
    )
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    p.add_argument(
        "--describer", default="", metavar="MODEL",
        help="folder of an AutoAD (best/ of `cinescribe train autoad`) that describes clips at /v1/captions",
    )  # fmt: skip
    p.add_argument(
        "--describer-encoder", default="", metavar="NAME",
        help="what encodes clips for it, as `cinescribe extract --encoders` takes it "
        "(default: told from the name of the features it was trained on)",
    )  # fmt: skip
    p.add_argument(
        "--reranker", default="", metavar="MODEL",
        help="folder of a JSFusion (best/ of `cinescribe train jsfusion-retrieval`) that puts the first 100 "
        "moments of queries in words in order anew",
    )  # fmt: skip
    p.add_argument(
        "--caption-batch", type=int, default=8, metavar="N",
        help="most clips described together (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--refresh", type=float, default=10.0, metavar="S",
        help="look for new films every S seconds (default: %(default)g)",
    )  # fmt: skip
    p.add_argument(
        "--upload-mb", type=int, default=64, metavar="MB", help="largest upload (default: %(default)s)"
    )
    p.add_argument("--cache", default="", metavar="DIR", help="folder of thumbnails")
    p.add_argument(
        "--cache-mb", type=int, default=256, metavar="MB",
        help="most it may hold (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--log",
        default=os.environ.get("CINESCRIBE_LOG", ""),
        metavar="FILE",
        help="log of requests (default: the variable CINESCRIBE_LOG, else Ray's logs)",
    )
    p.add_argument("--address", default="", help="Ray cluster (default: RAY_ADDRESS, else this machine)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service until it is told to stop; its exit code.

    Raises:
        CinescribeError: no index there, a port in use, arguments that can't be met.
    """
    options = vars(parser().parse_args(argv))
    host, port, address = options.pop("host"), options.pop("port"), options.pop("address")
    _check_index(options["root"])  # before Ray is loaded, which takes seconds

    from pydantic import ValidationError

    from serve import local_ray

    local_ray.hush()
    from serve.app import Arguments

    if host in _LOOPBACK:
        options["name"] = [*_LOOPBACK, *options["name"]]
    try:
        arguments = Arguments(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--{first['loc'][0]}: {first['msg']}".replace("_", "-")) from error
    print("cinescribe: starting ...", file=sys.stderr, flush=True)
    with running(arguments, host, port or free_port(0, host), address) as url, told_to_end() as ended:
        print(f"cinescribe: {url}  (Ctrl-C ends it)", flush=True)
        while not ended.wait(0.5):
            pass
        print("cinescribe: ending", flush=True)
    return 0


@contextmanager
def running(arguments: "Arguments", host: str, port: int, address: str = "") -> Iterator[str]:
    """The service, from ready to ended; gives its URL.

    Raises:
        CinescribeError: see `main`.
    """
    from serve import local_ray

    local_ray.hush()
    from serve import app

    _check_port(host, port)
    _check_index(arguments.root)
    _, most = app.replica_range(arguments.replicas)
    application = app.build(arguments)
    os.environ.pop("CINESCRIBE_API_KEYS", None)  # not for every process of Ray to inherit
    each = app.ENCODER_CPUS + app.SEARCH_CPUS + app.INGRESS_CPUS
    cpus = most * (each + (app.DESCRIBER_CPUS if arguments.describer else 0.0))
    local_ray.connect(address, cpus, arguments.upload_mb * 2**20)
    import ray
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        serve.start(
            proxy_location="HeadOnly",
            http_options={"host": host, "port": port, "keep_alive_timeout_s": 65},
            logging_config={"enable_access_log": False},  # ours has the same, without what was asked
        )
        try:
            serve.run(application, name=APP, route_prefix="/")
        except RuntimeError as error:
            raise UsageError(f"the service can't start: {_reason(str(error))}") from error
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{'127.0.0.1' if shown == '0.0.0.0' else shown}:{port}"
    finally:
        with local_ray.silent_stderr():  # Ray tells of its own controller, which it has just ended
            serve.shutdown()
            ray.shutdown()


def _reason(message: str) -> str:
    """The last line of what Ray says of a replica that failed, which is the exception's own."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return (errors or lines or ["see Ray's logs"])[-1][:600]


def _check_index(root: str) -> None:
    from cinescribe.search.store import Store

    if "films" not in Store(root).names():
        raise UsageError(f"{root}: no index there; make one: cinescribe index {root}")


def _check_port(host: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise UsageError(f"--port {port}: a port is from 1 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            known = {errno.EADDRINUSE: "something listens there already; choose another with --port"}
            raise UsageError(f"{host}:{port}: {known.get(error.errno or 0, str(error))}") from error


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """`wanted` where nothing listens there yet, else a port that is free."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError(f"{host}: no port is free there")


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets."""
    ended = threading.Event()

    def end(_: int, __: types.FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    from cinescribe import cli

    sys.exit(cli.main(["serve", *sys.argv[1:]]))
