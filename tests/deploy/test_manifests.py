"""What is under deploy/, against Kubernetes's own schemas, Ray's, and the command that it starts. Nothing here is run:
there is no container engine and no cluster on a developer's machine."""

import importlib.metadata
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from underlay.cli.main import app
from underlay.core import UsageError
from underlay.serve.app import PUBLIC
from underlay.serve.limits import Limits
from underlay.serve.ray.application import ARGUMENTS, build
from underlay.serve.running import CUT

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VERSIONS = ("1.30", "1.34", "1.37")
"""Of Kubernetes: the oldest that a vendor still keeps, and what is new."""

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def kind(name: str) -> dict[str, Any]:
    (found,) = [one for path in MANIFESTS for one in documents(path) if one["kind"] == name]
    return found


def rayservice() -> dict[str, Any]:
    return next(one for one in documents(DEPLOY / "kuberay.yaml") if one["kind"] == "RayService")


def ray_pods() -> list[dict[str, Any]]:
    cluster = rayservice()["spec"]["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def pods() -> list[dict[str, Any]]:
    return [kind("Deployment")["spec"]["template"]["spec"], *(pod["spec"] for pod in ray_pods())]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_is_what_kubernetes_takes(path):
    for document in documents(path):
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_would_be_seen():
    broken = kind("Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_the_pods_and_policies_of_the_ray_service_are_what_kubernetes_takes():
    for pod in ray_pods():
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", **pod["metadata"]},
            "spec": pod["spec"],
        }
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
    for document in documents(DEPLOY / "kuberay.yaml"):
        if document["kind"] != "RayService":
            kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_ray_takes_the_serve_configuration_and_the_code_its_arguments():
    from ray.serve.schema import ServeDeploySchema

    found = yaml.safe_load(rayservice()["spec"]["serveConfigV2"])
    schema = ServeDeploySchema.model_validate(found)
    (one,) = schema.applications
    module, _, function = one.import_path.partition(":")
    assert (module, function) == (build.__module__, build.__name__)
    assert set(one.args) <= set(ARGUMENTS)
    Limits().with_settings(one.args["limits"])
    assert schema.http_options.request_timeout_s > Limits().request_seconds
    with pytest.raises(UsageError, match="is no argument"):
        build({**one.args, "key": "typo"})
    with pytest.raises(UsageError, match="missing"):
        build({"bundle": "/bundles/reviews"})
    cluster = rayservice()["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == importlib.metadata.version("ray")
    (port,) = [port for pod in ray_pods()[1:] for port in pod["spec"]["containers"][0]["ports"]]
    assert port["containerPort"] == schema.http_options.port


def parsed(words: list[str]) -> dict[str, Any]:
    """What the command makes of these words; it refuses a flag that it does not have."""
    command = typer.main.get_command(app).commands[words[0]]
    return command.make_context(words[0], list(words[1:])).params


def test_the_command_has_the_flags_of_the_deployment():
    container = kind("Deployment")["spec"]["template"]["spec"]["containers"][0]
    found = parsed(container["args"])
    assert found["host"] == "0.0.0.0"
    mounted = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
    named = [Path(found["bundles"][0].rpartition("=")[2]), found["keys"], found["usage"]]
    assert all(any(path.is_relative_to(mount) for mount in mounted) for path in named)
    written = next(mount for mount in container["volumeMounts"] if found["usage"].is_relative_to(mount["mountPath"]))
    assert not written.get("readOnly", False)
    limits = Limits().with_settings(found["limit"])
    grace = kind("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > limits.leave_seconds + limits.drain_seconds + CUT
    assert [port["containerPort"] for port in container["ports"]] == [found["port"]]
    with pytest.raises(Exception, match="No such option"):
        parsed([*container["args"], "--hots=0.0.0.0"])


def test_probes_ask_what_needs_no_key():
    container = kind("Deployment")["spec"]["template"]["spec"]["containers"][0]
    names = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in PUBLIC
        assert asked["port"] in names
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_names_point_to_what_there_is():
    labels = kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    for name in ("Deployment", "PodDisruptionBudget"):
        assert kind(name)["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert kind("Service")["spec"]["selector"].items() <= labels.items()
    assert kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    target = kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", kind("Deployment")["metadata"]["name"])
    assert kind("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
    for pod in pods():
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] == kind("Secret")["metadata"]["name"]
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]
                assert claim["claimName"] == kind("PersistentVolumeClaim")["metadata"]["name"]
                assert claim["readOnly"]


def test_the_secret_that_ships_opens_nothing(tmp_path):
    from underlay.serve.keys import read_keys

    path = tmp_path / "keys.json"
    path.write_text(kind("Secret")["stringData"]["keys.json"], encoding="utf-8")
    assert read_keys(path) == ()


def test_no_pod_has_more_than_it_needs():
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
        assert not any("hostPath" in volume for volume in pod["volumes"])
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
            assert {mount["name"] for mount in container["volumeMounts"]} == {
                volume["name"] for volume in pod["volumes"]
            }


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def test_the_image_is_of_a_base_that_is_named_by_its_builder_and_runs_as_nobody_in_particular():
    found = instructions()
    assert next(value for name, value in found if name == "ARG") == "PYTHON_IMAGE"  # no default: no tag to trust
    stages = [value for name, value in found if name == "FROM"]
    assert [stage.split()[0] for stage in stages] == ["${PYTHON_IMAGE}"] * 2
    last = found[max(at for at, (name, _) in enumerate(found) if name == "FROM") :]
    (user,) = [value for name, value in last if name == "USER"]
    assert user.split(":")[0].isdigit()
    assert int(user.split(":")[0]) > 0
    assert not [value for name, value in found if name == "ADD"]
    assert not [value for name, value in last if name == "RUN" and "pip" in value]
    assert not [
        value for name, value in found if name == "RUN" and "pip install" in value and "constraints.txt" not in value
    ]


def test_the_image_starts_a_command_and_asks_for_its_health_where_both_are():
    found = dict(instructions())
    words = json.loads(found["ENTRYPOINT"]) + json.loads(found["CMD"])
    assert words[0] == "underlay"
    params = parsed(words[1:])
    assert str(params["port"]) == found["EXPOSE"]
    options, _, command = found["HEALTHCHECK"].partition("CMD")
    assert "--start-period" in options
    code = json.loads(command)[-1]
    compile(code, "HEALTHCHECK", "exec")
    address = re.search(r"'http://127\.0\.0\.1:(\d+)(/[^']*)'", code)
    assert address is not None
    assert (int(address[1]), address[2] in PUBLIC) == (params["port"], True)


@pytest.mark.parametrize("extras", ["serve,postgresql", "ray"])
def test_what_the_image_installs_brings_no_pytorch(extras):
    assert f"EXTRAS={extras}" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    todo = [*map(Requirement, project["dependencies"]), Requirement(f"underlay[{extras}]")]
    while todo:
        one = todo.pop()
        key = f"{canonicalize_name(one.name)}{sorted(one.extras)}"
        if key in found:
            continue
        found.add(key)
        if one.name == "underlay":  # as the source has it, whatever was installed
            todo += [Requirement(text) for extra in one.extras for text in project["optional-dependencies"][extra]]
            continue
        needed = map(Requirement, importlib.metadata.requires(one.name) or ())
        environments = [{"extra": extra} for extra in one.extras] or [{"extra": ""}]
        todo += [
            other for other in needed
            if other.marker is None or any(other.marker.evaluate(environment) for environment in environments)
        ]  # fmt: skip
    names = {key.partition("[")[0] for key in found}
    assert {"starlette", "onnxruntime"} <= names
    assert not names & {"torch", "accelerate", "transformers"}


def test_the_builder_is_sent_what_it_copies_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {word for name, value in instructions() if name == "COPY" and "--from" not in value
              for word in shlex.split(value)[:-1]}  # fmt: skip
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_page_for_operators_names_figures_and_codes_that_exist():
    from underlay.serve.refusals import ANSWERS

    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "underlay" / "serve").rglob("*.py"))
    for name in set(re.findall(r"`(underlay_[a-z_]+?)(?:_total)?[`{]", text)):
        assert f'"{name}"' in source, name
    for code in ("overloaded", "no_replica", "bug", "row_failed", "disk_full", "database_away", "state_damaged"):
        assert code in ANSWERS
        assert f"`{code}`" in text
