"""Nodes of the autoscaling benchmark that lend the memory and carry the name of their group."""

import json
import os
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE


class Nodes(FakeMultiNodeProvider):  # type: ignore[misc]
    """Ray's provider of nodes that are processes of this machine; Ray's autoscaler makes it.

    As it is, a node can't be told its memory, and has the group of the autoscaler's own node. Both are read
    from the environment when a node starts.
    """

    def create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: dict[str, float],
        labels: dict[str, str],
    ) -> None:
        """Start `count` nodes."""
        rest = dict(resources)
        with self.lock:
            os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({"memory": rest.pop("memory")})
            os.environ["RAY_NODE_TYPE_NAME"] = tags[TAG_RAY_USER_NODE_TYPE]
            super().create_node_with_resources_and_labels(node_config, tags, count, rest, labels)
