"""What a service is started with; plain values, so that it travels to every replica."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cinescribe.errors import UsageError

_SHORTEST_KEY = 16  # characters; shorter ones can be guessed over HTTP


@dataclass(frozen=True, slots=True)
class Describing:
    """The model that describes clips (`serve.describing.described_by` reads it from the model's folder).

    Attributes:
        folder: of an AutoAD, on every machine that has a replica.
        features: encoder of its frames, as in `features/<encoder>`.
        hz: features a second.
        frames: features of a clip.
        encoder: that encoder as `cinescribe extract --encoders` takes it; "": not known, so no clip that is
            sent can be encoded.
        offsets: of that encoder (`cinescribe.encoders.protocol.EncoderSpec`).
        seconds: longest stretch that is described.
    """

    folder: str
    features: str
    hz: float
    frames: int
    encoder: str = ""
    offsets: tuple[float, ...] = ()
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service behaves; what it is deployed on (replicas, ports) is not here.

    Attributes:
        root: folder or s3:// of the tables and the index, as `cinescribe index` left them.
        allow: addresses that image_uri and clip_uri may begin with.
        media_roots: folders and s3:// prefixes that films are served from; (): those the films table lists.
        key_hashes: SHA-256 of each API key, hex; (): no keys are asked for.
        session_secret: signs the page's session cookie, hex.
        device, threads: what queries are encoded on.
        refresh_seconds: between looks for new rows of the index and the tables.
        upload_bytes: most bytes of an uploaded or fetched picture or clip.
        upload_seconds: most seconds an upload may take to arrive, and a fetch.
        search_seconds: most seconds of a search, waiting included.
        caption_seconds: most seconds of a description, waiting included.
        decode_seconds: most seconds of the decoding of one picture, clip or thumbnail.
        pixels: most pixels of a picture, or of one frame of a clip.
        clip_seconds: longest clip that may be searched with.
        cache: folder of the thumbnails; "": under the user's cache folder.
        cache_bytes: most bytes of it.
        log: file that requests are logged to; "": standard error of the replica.
        names: host names that the service answers to, so that no other name can be made to lead a browser
            here; (): all.
        describing: what describes clips; None: nothing does.
        reranker: folder of a JSFusion that puts what is found in order, on every machine with a replica; "":
            nothing does.
    """

    root: str
    allow: tuple[str, ...] = ()
    media_roots: tuple[str, ...] = ()
    key_hashes: tuple[str, ...] = ()
    session_secret: str = ""
    device: str = "cpu"
    threads: int = 1
    refresh_seconds: float = 10.0
    upload_bytes: int = 64 * 2**20
    upload_seconds: float = 60.0
    search_seconds: float = 30.0
    caption_seconds: float = 30.0
    decode_seconds: float = 20.0
    pixels: int = 50_000_000
    clip_seconds: float = 120.0
    cache: str = ""
    cache_bytes: int = 256 * 2**20
    log: str = ""
    names: tuple[str, ...] = ()
    describing: Describing | None = None
    reranker: str = ""

    @property
    def cache_folder(self) -> Path:
        """Where thumbnails are kept."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return Path(self.cache) if self.cache else home / "cinescribe" / "thumbnails"


def read_keys(keys_file: str) -> tuple[tuple[str, ...], str]:
    """The API keys of CINESCRIBE_API_KEYS (parted by commas) and of a file (a line each, # for comments).

    Returns:
        Their hashes, and the secret that signs sessions: the same for the same keys, so that sessions
        outlive a restart and end when a key is taken away. Both empty without keys.

    Raises:
        UsageError: the file can't be read or holds none, or a key is too short to be safe.
    """
    keys = [key.strip() for key in os.environ.get("CINESCRIBE_API_KEYS", "").split(",")]
    of_file: list[str] = []
    if keys_file:
        try:
            lines = [line.strip() for line in Path(keys_file).read_text("utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{keys_file}: the API keys can't be read from there: {error}") from error
        of_file = [line for line in lines if line and not line.startswith("#")]
        if not of_file:
            raise UsageError(f"{keys_file}: holds no API key; write one a line")
        keys += of_file
    keys = sorted({key for key in keys if key})
    for key in keys:
        if len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            where = f"{keys_file}: " if key in of_file else "CINESCRIBE_API_KEYS: "
            raise UsageError(
                f"{where}an API key has fewer than {_SHORTEST_KEY} characters, or others than visible ASCII; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
    hashes = tuple(sha256(key.encode()).hexdigest() for key in keys)
    secret = sha256("\n".join(["cinescribe session", *keys]).encode()).hexdigest() if keys else ""
    return hashes, secret
