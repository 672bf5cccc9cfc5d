"""The Open Inference Protocol, version 2, over REST: what other servers' clients already speak.

Source: Open Inference Protocol (V2), REST, kserve.github.io/open-inference-protocol. JSON only; no binary tensors.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from underlay.serve.entrance import deadline_of, json_response, read_body
from underlay.serve.predict import Endpoint, said_of_row
from underlay.serve.questions import check_count
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import parse
from underlay.serve.served import Answer, Served
from underlay.serve.service import Service
from underlay.serve.tensors import TEXT, answer_names, answer_tensors, column_tensor, column_values

PROBES = 8
"""Values a modality makes, from which its form is seen."""

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
    """`GET /v2/models/{name}`: its tensors."""
    described = inputs_of(service.served)
    outputs = [
        {"name": name, "datatype": _datatype(name, target.name, bool(target.labels)), "shape": _shape(name, target)}
        for target in service.served.targets
        for name in answer_names(target)
    ]

    async def model(request: Request) -> Response:
        _check_name(request, service)
        return json_response(
            {
                "name": service.served.name,
                "versions": [service.served.version],
                "platform": "underlay",
                "inputs": list(described.values()),
                "outputs": outputs,
            }
        )

    return model


def model_ready_endpoint(service: Service) -> Endpoint:
    """`GET /v2/models/{name}/ready`: its golden rows were answered, and new requests are welcome."""

    async def model_ready(request: Request) -> Response:
        _check_name(request, service)
        told = {"name": service.served.name, "ready": service.ready}
        return json_response(told, status=200 if service.ready else 503)

    return model_ready


def infer_endpoint(service: Service) -> Endpoint:
    """`POST /v2/models/{name}/infer`."""
    described = inputs_of(service.served)

    async def infer(request: Request) -> Response:
        _check_name(request, service)
        if "inference-header-content-length" in request.headers:
            raise Refusal("binary_tensors")
        deadline = deadline_of(request)
        service.batcher.refuse_if_full()
        sent = await read_body(request)
        body = parse(sent)
        rows = read_inputs(body, described, service)
        wanted = read_outputs(body, service.served)
        record = await service.records.begin(request, sent, rows, service.served)
        if record.stored is not None:
            return json_response(_told(record.stored, body))
        answers = await service.ask(
            rows, receive=request.receive, deadline=deadline, place=lambda number: f"row {number}"
        )
        tensors = tensors_of(answers, service.served)
        told: dict[str, Any] = {
            "model_name": service.served.name,
            "model_version": service.served.version,
            "outputs": [tensors[name] for name in wanted],
        }
        told = await record.finish(answers, [said_of_row(answer, service, scores=False) for answer in answers], told)
        return json_response(_told(told, body))

    return infer


def _told(told: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer in the protocol's form: what it has no field for goes among its parameters."""
    kept = {name: value for name, value in told.items() if name == "prediction_ids"}
    found = {name: value for name, value in told.items() if name not in kept}
    return found | ({"parameters": kept} if kept else {}) | ({"id": body["id"]} if "id" in body else {})


def inputs_of(served: Served) -> dict[str, dict[str, Any]]:
    """How each column is sent, by name: seen on values that its modality makes."""
    files, rng = served.bundle.file_columns, np.random.default_rng(0)
    return {
        name: column_tensor(name, [modality.probe(rng) for _ in range(PROBES)], file=name in files)
        for name, modality in served.bundle.modalities.items()
    }


def read_inputs(body: Any, described: Mapping[str, Mapping[str, Any]], service: Service) -> dict[str, list[Any]]:
    """Raw values by column of a request.

    Raises:
        Refusal: What is wrong with it.
    """
    _check_object(body, REQUEST, ("inputs",), "")
    if not isinstance(body.get("id", ""), str):
        raise Refusal("wrong_type", field="/id", expected="string")
    if not isinstance(body["inputs"], list):
        raise Refusal("wrong_type", field="/inputs", expected="array")
    found: dict[str, list[Any]] = {}
    for number, tensor in enumerate(body["inputs"]):
        place = f"/inputs/{number}"
        _check_object(tensor, INPUT, ("name", "shape", "datatype", "data"), place)
        name = tensor["name"]
        if not isinstance(name, str) or name not in described or name in found:
            raise Refusal("unknown_field", field=f"{place}/name", expected=sorted(described))
        try:
            found[name] = column_values(
                tensor, described=described[name], file=name in service.files, limits=service.limits
            )
        except Refusal as refusal:
            raise refusal.within(place) from None
    if missing := [name for name in described if name not in found]:
        raise Refusal("missing_field", field="/inputs", expected=missing)
    if len({len(values) for values in found.values()}) > 1:
        raise Refusal("shape", field="/inputs")
    check_count(len(next(iter(found.values()))), service.limits)
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
        _check_object(output, OUTPUT, ("name",), f"/outputs/{number}")
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


def _datatype(name: str, target: str, labelled: bool) -> str:
    return TEXT if labelled and name == target else "FP64"


def _shape(name: str, target: Any) -> list[int]:
    return [-1, target.outputs] if name.endswith(".probabilities") else [-1]


def _check_name(request: Request, service: Service) -> None:
    if request.path_params["name"] != service.served.name:
        raise Refusal("not_found")


def _check_object(value: Any, known: Sequence[str], needed: Sequence[str], place: str) -> None:
    if not isinstance(value, dict):
        raise Refusal("wrong_type", field=place, expected="object")
    if not value.keys() <= set(known):
        raise Refusal("unknown_field", field=place, expected=list(known))
    if missing := [name for name in needed if name not in value]:
        raise Refusal("missing_field", field=f"{place}/{missing[0]}", expected=list(needed))
