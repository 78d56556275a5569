"""How LanceDB is reached, and what its errors mean."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cinescribe import storage
from cinescribe.errors import UsageError, without_passwords


def storage_options(uri: str) -> dict[str, str] | None:
    """How LanceDB reaches S3: from the environment that the other tables are reached with."""
    if not storage.is_s3(uri):
        return None
    client = storage.s3_client()
    endpoint = client.meta.endpoint_url
    options = {"aws_region": client.meta.region_name or "us-east-1"}
    if os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        options |= {"aws_endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}
    return options


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn LanceDB's errors into a UsageError that says what to do."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        said = without_passwords(" ".join(str(error).split()))
        if any(sign in said for sign in ("No space left", "os error 28", "os error 122", "os error 27")):
            raise UsageError(
                f"{uri}: the disk is full; make room and run the same command again, what was committed is "
                "kept and readable"
            ) from error
        raise UsageError(
            f"{uri}: {said[:300]}; if it goes on, check the address and your rights to it, or delete the "
            "folder and run `cinescribe index` again"
        ) from error
