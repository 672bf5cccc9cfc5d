"""The Open Inference Protocol, version 2, over REST: what other servers' clients already speak.

Source: Open Inference Protocol (V2), REST, kserve.github.io/open-inference-protocol. JSON only; no binary tensors.
"""

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from underlay.serve.entrance import deadline_of, json_response, read_body
from underlay.serve.limits import Limits
from underlay.serve.predict import Endpoint, said_of_row
from underlay.serve.questions import check_count
from underlay.serve.records import dropping
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import check_object, parse_apart
from underlay.serve.served import Answer, Served
from underlay.serve.service import Service
from underlay.serve.tensors import TEXT, answer_names, answer_tensors, column_values

REQUEST = ("id", "parameters", "inputs", "outputs")
INPUT = ("name", "shape", "datatype", "parameters", "data")
OUTPUT = ("name", "parameters")


def live_endpoint() -> Endpoint:
    """`GET /v2/health/live`: the process answers."""

    async def live(_: Request) -> Response:
        return json_response({"live": True})

    return live


def ready_endpoint(service: Service) -> Endpoint:
    """`GET /v2/health/ready`: new requests are welcome."""

    async def ready(_: Request) -> Response:
        return json_response({"ready": service.ready}, status=200 if service.ready else 503)

    return ready


def server_endpoint() -> Endpoint:
    """`GET /v2`: who answers."""

    async def server(_: Request) -> Response:
        return json_response({"name": "underlay", "version": version("underlay"), "extensions": []})

    return server


def model_endpoint(service: Service) -> Endpoint:
    """`GET /v2/models/{name}[/versions/{version}]`: its tensors."""

    async def model(request: Request) -> Response:
        asked = service.named(request)
        version = asked.version
        return json_response(
            {
                "name": asked.model.name,
                "versions": list(asked.model.versions) if asked.pinned is None else [version.label],
                "platform": "underlay",
                "inputs": list(version.inputs.values()),
                "outputs": _outputs(version.served),
            }
        )

    return model


def model_ready_endpoint(service: Service) -> Endpoint:
    """`GET /v2/models/{name}[/versions/{version}]/ready`: golden rows were answered, and new requests are welcome."""

    async def model_ready(request: Request) -> Response:
        asked = service.named(request)
        ready = asked.model.ready if asked.pinned is None else asked.model.version(asked.pinned).ready
        ready = ready and not (service.draining or service.stopped or asked.model.stopped) and service.records.working
        return json_response({"name": asked.model.name, "ready": ready}, status=200 if ready else 503)

    return model_ready


def infer_endpoint(service: Service) -> Endpoint:
    """`POST /v2/models/{name}[/versions/{version}]/infer`."""

    async def infer(request: Request) -> Response:
        deadline, asked = deadline_of(request), service.find(request)
        if "inference-header-content-length" in request.headers:
            raise Refusal("binary_tensors")
        sent = await read_body(request)
        if len(sent) > service.body_bytes_of(asked.model):
            raise Refusal("body_too_large")
        body = await parse_apart(sent)
        rows = read_inputs(body, asked.model.prod.inputs, files=asked.model.form.files, limits=service.limits)
        with service.answering(asked, rows) as version:
            served = version.served
            wanted = read_outputs(body, served)
            record = await service.records.begin(request, sent, rows, served)
            if record.stored is not None:
                return json_response(_told(record.stored, body))
            with dropping(record):
                answers = await service.ask(
                    asked, version, rows, receive=request.receive, deadline=deadline,
                    place=lambda number: f"row {number}",
                )  # fmt: skip
            tensors = tensors_of(answers, served)
            told: dict[str, Any] = {
                "model_name": asked.model.name,
                "model_version": version.label,
                "outputs": [tensors[name] for name in wanted],
            }
            kept = [said_of_row(answer, served.targets, scores=False) for answer in answers]
            told = await record.finish(answers, kept, told)
        service.shadow(asked, rows, answers)
        return json_response(_told(told, body))

    return infer


KEPT = ("prediction_ids", "review_ids", "review_delayed")
"""What an answer says of how it is kept."""


def _told(told: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer in the protocol's form: what it has no field for goes among its parameters."""
    kept = {name: value for name, value in told.items() if name in KEPT}
    found = {name: value for name, value in told.items() if name not in kept}
    return found | ({"parameters": kept} if kept else {}) | ({"id": body["id"]} if "id" in body else {})


def read_inputs(
    body: Any, described: Mapping[str, Mapping[str, Any]], *, files: Collection[str], limits: Limits
) -> dict[str, list[Any]]:
    """Raw values by column of a request.

    Args:
        body: Parsed.
        described: Tensors by column.
        files: Columns that take files.
        limits: Of the server.

    Raises:
        Refusal: What is wrong with it.
    """
    check_object(body, REQUEST, ("inputs",))
    if not isinstance(body.get("id", ""), str):
        raise Refusal("wrong_type", field="/id", expected="string")
    if not isinstance(body["inputs"], list):
        raise Refusal("wrong_type", field="/inputs", expected="array")
    found: dict[str, list[Any]] = {}
    for number, tensor in enumerate(body["inputs"]):
        place = f"/inputs/{number}"
        check_object(tensor, INPUT, ("name", "shape", "datatype", "data"), place)
        name = tensor["name"]
        if not isinstance(name, str) or name not in described or name in found:
            raise Refusal("unknown_field", field=f"{place}/name", expected=sorted(described))
        try:
            found[name] = column_values(tensor, described=described[name], file=name in files, limits=limits)
        except Refusal as refusal:
            raise refusal.within(place) from None
    if missing := [name for name in described if name not in found]:
        raise Refusal("missing_field", field="/inputs", expected=missing)
    if len({len(values) for values in found.values()}) > 1:
        raise Refusal("shape", field="/inputs")
    check_count(len(next(iter(found.values()))), limits)
    return found


def read_outputs(body: Mapping[str, Any], served: Served) -> list[str]:
    """The tensors a request wants; without a word, answers and confidence.

    Raises:
        Refusal: `unknown_field`, `missing_field`, `wrong_type`.
    """
    known = [name for target in served.targets for name in answer_names(target)]
    outputs = body.get("outputs")
    if outputs is None:
        return [name for name in known if not name.endswith(".probabilities")]
    if not isinstance(outputs, list):
        raise Refusal("wrong_type", field="/outputs", expected="array")
    wanted = []
    for number, output in enumerate(outputs):
        check_object(output, OUTPUT, ("name",), f"/outputs/{number}")
        if output["name"] not in known:
            raise Refusal("unknown_field", field=f"/outputs/{number}/name", expected=known)
        wanted.append(output["name"])
    return wanted


def tensors_of(answers: Sequence[Answer], served: Served) -> dict[str, dict[str, Any]]:
    """All tensors of some rows' answers, by name."""
    found: dict[str, dict[str, Any]] = {}
    for target in served.targets:
        said = [answer[target.name] for answer in answers]
        found |= answer_tensors(
            target,
            [one.prediction for one in said],
            [one.confidence for one in said],
            [one.probabilities for one in said],
        )
    return found


def _outputs(served: Served) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": _datatype(name, target.name, bool(target.labels)), "shape": _shape(name, target)}
        for target in served.targets
        for name in answer_names(target)
    ]


def _datatype(name: str, target: str, labelled: bool) -> str:
    return TEXT if labelled and name == target else "FP64"


def _shape(name: str, target: Any) -> list[int]:
    return [-1, target.outputs] if name.endswith(".probabilities") else [-1]
