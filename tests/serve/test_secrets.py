"""What was sent and who sent it stands in no figure, no log line and no refusal, whichever way a request goes."""

import json
import secrets
from hashlib import sha256

import httpx
import pytest
from tests.serve.conftest import serving

CANARIES = {
    "phone": "13800138000",
    "mail": "canary.person@example.com",
    "card": "4012888888881881",
    "identity": "11010519491231002X",
    "word": "zyzzyva",
}


@pytest.mark.row("R13", "R14")
def test_no_input_and_no_key_is_in_a_figure_a_log_or_a_refusal(text_bundle, tmp_path):
    said = " ".join(CANARIES.values())
    with serving(text_bundle, tmp_path, "--state", str(tmp_path / "state"), "--limit", "text_characters=200") as server:
        wrong = f"ul_0_{secrets.token_urlsafe(32)}"
        refusals = []

        def ask(path: str, body: object, **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            found = server.post(path, data, **headers)
            if found.status_code != 200:
                refusals.append(found.text)

        infer = f"/v2/models/{server.name}/infer"
        for path in ("/predict", infer, f"/predict/{server.name}", f"/{said.replace(' ', '/')}"):
            for body in (
                {"row": {"text": said}},
                {"rows": [{"text": said}, {"text": ""}]},
                {"row": {said: said}},
                {said: {said: [said]}},
                {"row": {"text": said * 10}},
                {"row": {"text": [said]}},
                {"inputs": [{"name": said, "datatype": said, "shape": [1], "data": [said]}]},
                {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [said]}]},
                f'{{"row": {{"text": "{said}'.encode(),
                said.encode(),
                f'{{"{said}": 1, "{said}": 2}}'.encode(),
            ):
                ask(path, body)
        ask("/predict", {"row": {"text": "a film"}}, **{"x-deadline-ms": said, "user-agent": f"{said}\x1b[31m"})
        ask("/predict", {"row": {"text": "a film"}}, **{"x-request-id": said, "content-type": said})
        ask("/predict", {"row": {"text": "a film"}}, **{"x-request-id": said, "idempotency-key": said})
        # A refusal for want of time is logged, by a name that the client may have made of anything.
        hurried = {"x-request-id": CANARIES["phone"], "x-deadline-ms": "1"}
        assert server.post("/predict", {"row": {"text": "a film"}}, **hurried).status_code in (503, 504)
        given = [{"authorization": f"Bearer {wrong}"}, {"authorization": f"Basic {wrong}"}, {"cookie": wrong}]
        address = f"{server.url}/v2?key={wrong}&said={CANARIES['mail']}"
        refusals.extend(httpx.get(address, headers=headers).text for headers in given)
        server.raw(f"GET /{CANARIES['mail']} HTTP/9.9\r\n{said}\r\n\r\n".encode())
        server.raw(f"{said}\r\n\r\n".encode())
        figures = httpx.get(
            f"{server.admin_url}/metrics", headers={"authorization": f"Bearer {server.admin_key}"}, timeout=60
        ).text
        assert server.figures()['underlay_redactions_total{kind="PHONE"}'] >= 2
        assert len(refusals) > 30
        assert server.stop() == 0
        log = server.log.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in log.splitlines()]
        assert sha256(CANARIES["phone"].encode()).hexdigest()[:16] in [line.get("request_id") for line in lines]
        for name, canary in CANARIES.items():
            assert canary not in figures + log, name
            for refusal in refusals:
                assert canary not in refusal, (name, refusal)
        for key in (server.key, server.admin_key, wrong):
            part = key.rpartition("_")[2]
            assert part not in figures + log + "".join(refusals)


@pytest.mark.row("R12")
def test_names_from_outside_make_no_new_series(server):
    def series() -> set[str]:
        return set(server.figures())

    def ask(number: int) -> None:
        for path in (
            f"/predict/m{number}",
            f"/v2/models/m{number}/infer",
            f"/nothing{number}",
            f"/predict/a/versions/{number}",
        ):
            server.post(path, {"row": {"text": f"label {number}"}})

    server.post("/predict", {"row": {"text": "a film"}})
    ask(0)
    series()
    before = series()
    for number in range(1, 20):
        ask(number)
    assert series() == before
    counted: dict[str, int] = {}
    for name in series():
        counted[name.partition("{")[0]] = counted.get(name.partition("{")[0], 0) + 1
    assert max(counted.values()) <= 200, counted
