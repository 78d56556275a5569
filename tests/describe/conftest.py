from tests.media.conftest import bucket  # noqa: F401
