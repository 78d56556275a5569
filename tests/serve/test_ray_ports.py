"""The ports that Ray opens beside the service."""

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_job_without_the_token_is_refused(service: str) -> None:
    import ray

    (node,) = ray.nodes()
    assert not ray._private.worker.global_worker.node.address_info["webui_url"]  # there is no dashboard
    port = node["DashboardAgentListenPort"]  # it takes jobs, too: a shell's command line
    if port <= 0:
        pytest.skip("the agent that takes jobs has not opened its port")
    for host in ("127.0.0.1", node["NodeManagerAddress"]):
        for headers in ({}, {"authorization": "Bearer " + "0" * 64}):
            reply = httpx.post(
                f"http://{host}:{port}/api/job_agent/jobs/", json={"entrypoint": "true"}, headers=headers
            )
            assert reply.status_code in (401, 403)
