"""Requests made up from the API's own description: none may bring the service to a fault."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.serve.test_search import Listener

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def api(connect, settings):
    """The description of a service that finds nothing, and its application."""
    client = connect(settings, Listener())
    description = client.get("/openapi.json").json()
    loaded = schemathesis.openapi.from_dict(description)
    loaded.app = client.app
    return loaded


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_made_up_requests(case):
    case.call_and_validate(
        base_url="http://127.0.0.1",
        checks=(not_a_server_error, content_type_conformance, status_code_conformance),
    )
