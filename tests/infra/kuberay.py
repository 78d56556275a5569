"""The fields of KubeRay's custom resources that we use, after its API reference (v1.7, ray.io/v1).

Not a copy of its definitions, which run to megabytes: whoever has them checks with
`python -m infra.check DIR --crds kuberay-operator/crds`. Fields beyond these are faults to the tests.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
QUANTITY: Schema = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
    "x-kubernetes-int-or-string": True,
}


def fields(*required: str, **known: Schema) -> Schema:
    """An object of these fields."""
    made: Schema = {"type": "object", "properties": known}
    return made | ({"required": list(required)} if required else {})


def several(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


def one_of(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


AMOUNTS: Schema = {"type": "object", "additionalProperties": QUANTITY}
SIZES = fields(requests=AMOUNTS, limits=AMOUNTS)
SECRET_KEY = fields("key", name=TEXT, key=TEXT, optional=YES_OR_NO)
FROM_SECRET = fields(secretKeyRef=SECRET_KEY)
RIGHTS = fields(
    allowPrivilegeEscalation=YES_OR_NO,
    privileged=YES_OR_NO,
    capabilities=fields(add=several(TEXT), drop=several(TEXT)),
)
CONTAINER = fields(
    "name",
    name=TEXT,
    image=TEXT,
    securityContext=RIGHTS,
    resources=SIZES,
    env=several(fields("name", name=TEXT, value=TEXT, valueFrom=FROM_SECRET)),
    volumeMounts=several(
        fields("mountPath", "name", name=TEXT, mountPath={"type": "string", "pattern": "^/"})
    ),
)
VOLUME = fields(
    "name",
    name=TEXT,
    emptyDir=fields(sizeLimit=QUANTITY, medium=TEXT),
    persistentVolumeClaim=fields("claimName", claimName=TEXT, readOnly=YES_OR_NO),
    secret=fields(secretName=TEXT),
)
POD = fields(
    "containers",
    restartPolicy=one_of("Always", "OnFailure", "Never"),
    terminationGracePeriodSeconds=WHOLE,
    automountServiceAccountToken=YES_OR_NO,
    serviceAccountName=TEXT,
    imagePullSecrets=several(fields(name=TEXT)),
    securityContext=fields(
        runAsNonRoot=YES_OR_NO,
        runAsUser=WHOLE,
        runAsGroup=WHOLE,
        fsGroup=WHOLE,
        fsGroupChangePolicy=TEXT,
        seccompProfile=fields("type", type=TEXT),
    ),
    nodeSelector=TEXTS,
    tolerations=several(fields(key=TEXT, operator=TEXT, value=TEXT, effect=TEXT, tolerationSeconds=WHOLE)),
    containers=several(CONTAINER),
    volumes=several(VOLUME),
)
TEMPLATE = fields(metadata=fields(labels=TEXTS, annotations=TEXTS), spec=POD)
CLUSTER = fields(
    "headGroupSpec",
    rayVersion=TEXT,
    authOptions=fields(mode=one_of("token", "disabled"), secretName=TEXT),
    enableInTreeAutoscaling=YES_OR_NO,
    autoscalerOptions=fields(
        version=one_of("v1", "v2"),
        idleTimeoutSeconds=WHOLE,
        upscalingMode=one_of("Default", "Aggressive", "Conservative"),
        securityContext=RIGHTS,
        resources=SIZES,
    ),
    gcsFaultToleranceOptions=fields(
        "redisAddress", redisAddress=TEXT, redisPassword=fields(value=TEXT, valueFrom=FROM_SECRET)
    ),
    headGroupSpec=fields(
        "template",
        serviceType=one_of("ClusterIP", "NodePort", "LoadBalancer"),
        enableIngress=YES_OR_NO,
        rayStartParams=TEXTS,
        template=TEMPLATE,
    ),
    workerGroupSpecs=several(
        fields(
            "groupName", "minReplicas", "maxReplicas", "template",
            groupName=TEXT,
            replicas=WHOLE,
            minReplicas=WHOLE,
            maxReplicas=WHOLE,
            idleTimeoutSeconds=WHOLE,
            rayStartParams=TEXTS,
            template=TEMPLATE,
        )
    ),
)  # fmt: skip
JOB = fields(
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    submissionMode=one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    submitterPodTemplate=TEMPLATE,
    backoffLimit=WHOLE,
    activeDeadlineSeconds=WHOLE,
    shutdownAfterJobFinishes=YES_OR_NO,
    ttlSecondsAfterFinished=WHOLE,
    metadata=TEXTS,
    suspend=YES_OR_NO,
    rayClusterSpec=CLUSTER,
)
SERVICE = fields(
    upgradeStrategy=fields(type=one_of("NewCluster", "NewClusterWithIncrementalUpgrade", "None")),
    excludeHeadPodFromServeSvc=YES_OR_NO,
    serveConfigV2=TEXT,
    rayClusterConfig=CLUSTER,
)


def definitions() -> list[dict[str, Any]]:
    """As custom resource definitions, which is how KubeRay publishes its own."""
    return [
        {
            "kind": "CustomResourceDefinition",
            "spec": {
                "group": "ray.io",
                "names": {"kind": kind},
                "versions": [
                    {
                        "name": "v1",
                        "schema": {
                            "openAPIV3Schema": fields(
                                apiVersion=TEXT, kind=TEXT, metadata={"type": "object"}, spec=spec
                            )
                        },
                    }
                ],
            },
        }
        for kind, spec in (("RayCluster", CLUSTER), ("RayJob", JOB), ("RayService", SERVICE))
    ]
