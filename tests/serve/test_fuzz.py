"""Requests made up from the API's own description: none may bring the service to a fault."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.serve.test_search import Listener

CHECKS = (not_a_server_error, content_type_conformance, status_code_conformance)
FEW = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_made_up_requests(connect, request):
    app = connect(request.getfixturevalue("settings"), Listener()).app
    operations = [
        found.ok() for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
    ]
    assert len(operations) >= 12
    for operation in operations:

        @FEW
        @given(operation.as_strategy())
        def ask(case):
            case.call_and_validate(checks=CHECKS)

        ask()
