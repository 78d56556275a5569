"""The files of a model repository on the Hugging Face hub at one commit, with the hub's own hashes."""

import json
import os
from fnmatch import fnmatch
from typing import Any

from cinescribe.zoo.catalogue import File, Repository
from cinescribe.zoo.sources import Unavailable, from_url


def endpoint() -> str:
    """The hub's address; HF_ENDPOINT names another one, as for all of the hub's tools."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def token() -> str | None:
    """The user's hub token: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or that of `hf auth login`; None without."""
    named = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    if named:
        return named.strip()
    from huggingface_hub import get_token

    return get_token()


def conditions(repository: Repository) -> str:
    """What to do to be given a repository that asks for an account."""
    return (
        f"accept the conditions at {endpoint()}/{repository.name}, create a token at "
        f"{endpoint()}/settings/tokens and set it as HF_TOKEN"
    )


def address(repository: Repository, name: str) -> str:
    """Where the hub serves a file of the repository."""
    return f"{endpoint()}/{repository.name}/resolve/{repository.revision}/{name}"


def list_files(repository: Repository) -> tuple[File, ...]:
    """The files of `repository` which its patterns name, in the hub's order.

    Raises:
        Unavailable: the hub does not answer, or asks for an account.
    """
    if repository.needs_account and token() is None:
        raise Unavailable("it asks for an account")
    url = f"{endpoint()}/api/models/{repository.name}/revision/{repository.revision}?blobs=true"
    try:
        listing = json.loads(b"".join(from_url(url, token())))
        files = tuple(_file(repository, row) for row in listing["siblings"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"{url} gave no usable file list ({error})") from error
    wanted = tuple(
        file for file in files if any(fnmatch(file.name, pattern) for pattern in repository.include)
    )
    if not wanted:
        raise Unavailable(f"{url} lists none of {', '.join(repository.include)}")
    return wanted


def _file(repository: Repository, row: dict[str, Any]) -> File:
    name, large = row["rfilename"], row.get("lfs") or {}
    return File(
        name,
        sha256=large.get("sha256", ""),
        bytes=row["size"],
        url=address(repository, name),
        git_blob="" if large else row["blobId"],
    )
