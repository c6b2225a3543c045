"""docker/kubernetes is what Kubernetes takes, fits together, and runs with no more rights than it needs."""

import re
from collections.abc import Mapping
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from claude_relay.settings import options
from tests.docs.pages import ROOT
from tests.docs.test_monitoring import FIGURES

FOLDER = ROOT / "docker/kubernetes"
Resource = Mapping[str, Any]


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


KUSTOMIZATION = read("kustomization.yaml")
RESOURCES: list[Resource] = [
    resource for name in KUSTOMIZATION["resources"] for resource in yaml.safe_load_all((FOLDER / name).read_text())
]
WORKLOADS = [resource for resource in RESOURCES if resource["kind"] in {"Deployment", "StatefulSet"}]


def called(resource: Resource) -> str:
    return f"{resource['kind']} {resource['metadata']['name']}"


def of_kind(kind: str) -> dict[str, Resource]:
    return {resource["metadata"]["name"]: resource for resource in RESOURCES if resource["kind"] == kind}


def labels_of(workload: Resource) -> dict[str, str]:
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


RELAY = of_kind("Deployment")["claude-relay"]
(CONTAINER,) = RELAY["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("version", ["1.32", "1.36"])
@pytest.mark.parametrize("resource", RESOURCES, ids=called)
def test_each_resource_fits_the_schema_of_kubernetes(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_a_resource_with_a_wrong_field_is_refused() -> None:
    wrong = {**RELAY, "spec": {**RELAY["spec"], "replica": 2}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.32", strict=True)


def test_each_file_has_its_place() -> None:
    others = {"kustomization.yaml", "prometheus-adapter.yaml", "secret.env.example"}

    assert {path.name for path in FOLDER.iterdir()} - {"secret.env"} == {*KUSTOMIZATION["resources"], *others}


@pytest.mark.parametrize("workload", WORKLOADS, ids=called)
def test_what_runs_is_not_root_and_changes_nothing_but_its_volumes(workload: Resource) -> None:
    pod = workload["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        volumes = {volume["name"] for volume in (*pod.get("volumes", ()), *_claims(workload))}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def _claims(workload: Resource) -> list[Resource]:
    return [claim["metadata"] for claim in workload["spec"].get("volumeClaimTemplates", [])]


def test_services_budgets_and_policies_are_about_what_runs() -> None:
    pods = [labels_of(workload) for workload in WORKLOADS]
    for workload in WORKLOADS:
        assert workload["spec"]["selector"]["matchLabels"] == labels_of(workload)
    for service in of_kind("Service").values():
        assert service["spec"]["selector"] in pods
    for budget in of_kind("PodDisruptionBudget").values():
        assert budget["spec"]["selector"]["matchLabels"] in pods
    for policy in of_kind("NetworkPolicy").values():
        assert policy["spec"]["podSelector"].get("matchLabels") in [*pods, None]
    assert of_kind("NetworkPolicy")["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_relay_can_be_reached_at_the_port_that_it_listens_on() -> None:
    by_name = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    port = next(option.default for option in options() if option.name == "port")

    assert by_name == {"http": port}
    (served,) = of_kind("Service")["claude-relay"]["spec"]["ports"]
    assert served["targetPort"] in by_name
    assert of_kind("Service")["claude-relay"]["spec"]["sessionAffinity"] == "ClientIP"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        ((kind, asked),) = ((k, v) for k, v in CONTAINER[probe].items() if k in {"httpGet", "exec", "tcpSocket"})
        assert kind == "exec" or asked["port"] in by_name
    script = CONTAINER["readinessProbe"]["exec"]["command"][-1]
    assert f"COPY docker/healthcheck.py {script}\n" in (ROOT / "docker/Dockerfile").read_text()


def test_every_variable_is_one_of_the_relays_and_running_answers_have_their_time() -> None:
    known = {option.variable for option in options()}
    given = {variable["name"]: variable.get("value") for variable in CONTAINER["env"]}
    secret = re.findall(r"^(\w+)=", (FOLDER / "secret.env.example").read_text(), re.MULTILINE)

    assert given.keys() <= known
    assert {name for name in secret if name.startswith("CLAUDE_RELAY_")} <= known
    grace = RELAY["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    (_, pause) = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert grace >= int(given["CLAUDE_RELAY_DRAIN_TIMEOUT"]) + int(pause) + 10


def test_every_secret_that_is_named_is_made() -> None:
    (made,) = KUSTOMIZATION["secretGenerator"]
    keys = re.findall(r"^(\w+)=", (FOLDER / "secret.env.example").read_text(), re.MULTILINE)

    assert CONTAINER["envFrom"] == [{"secretRef": {"name": made["name"]}}]
    (valkey,) = of_kind("StatefulSet")["valkey"]["spec"]["template"]["spec"]["containers"]
    (password,) = valkey["env"]
    assert password["valueFrom"]["secretKeyRef"]["name"] == made["name"]
    assert password["valueFrom"]["secretKeyRef"]["key"] in keys


def test_replicas_scale_by_figures_that_the_relay_has() -> None:
    scaler = of_kind("HorizontalPodAutoscaler")["claude-relay"]["spec"]
    (metric,) = scaler["metrics"]
    (rule,) = read("prometheus-adapter.yaml")["rules"]["custom"]

    assert scaler["scaleTargetRef"]["kind"] == "Deployment"
    assert scaler["scaleTargetRef"]["name"] == RELAY["metadata"]["name"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    named = set(re.findall(r"claude_relay_\w+", rule["metricsQuery"] + rule["seriesQuery"]))
    assert named
    assert named <= FIGURES.keys()
