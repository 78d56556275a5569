"""Clusters: everything Kubernetes, a cloud and an image builder are told, made from one file of values.

    python -m infra.render --values infra/values.yaml --out DIR

`docs/cluster.md` is the runbook.
"""
