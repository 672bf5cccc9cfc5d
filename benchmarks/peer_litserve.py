"""The same graph behind LitServe, as its user would write it: a key, a line of log for every answer, batching.

Runs in an environment of its own and is no dependency of this project:
    python -m venv build/peers/litserve
    build/peers/litserve/bin/pip install litserve==0.2.19 onnxruntime==1.32.0 tokenizers==0.23.3 numpy
    python -m benchmarks.serving --peer build/peers/litserve/bin/python
"""

import argparse
import json
import os
from typing import Any

import litserve
import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Labels(litserve.LitAPI):  # type: ignore[misc]
    """A text in, a label and its probability out."""

    def __init__(self, model: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.model = model

    def setup(self, device: str) -> None:
        """Once in the process that computes."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.model["threads"], 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        weights = np.load(self.model["weights"])
        self.kept = [onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in weights.files]
        options.add_external_initializers(weights.files, self.kept)
        self.session = onnxruntime.InferenceSession(self.model["graph"], options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(self.model["tokenizer"])
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.model["length"])
        self.log = open(self.model["log"], "a", encoding="utf-8")  # noqa: SIM115 - as long as the process

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Tokens of one request."""
        return self.tokenizer.encode(request["text"]).ids

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Padding is done where the batch is computed."""
        return inputs

    def predict(self, inputs: list[Any]) -> list[Any]:
        """Logits of a batch, or of one where batching is off."""
        rows = inputs if isinstance(inputs[0], list) else [inputs]
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        known = {"ids": ids, "mask": mask, "segments": np.zeros_like(ids)}
        feed = {}
        for tensor in self.session.get_inputs():
            kind = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32,
                    "tensor(bool)": np.bool_}[tensor.type]  # fmt: skip
            feed[tensor.name] = known[tensor.name.rpartition("/")[2].rpartition(".")[2]].astype(kind)
        logits = self.session.run(None, feed)[0]
        return list(logits) if isinstance(inputs[0], list) else logits[0]

    def unbatch(self, output: list[Any]) -> list[Any]:
        """A row each."""
        return output

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """The answer, logged."""
        shifted = np.exp(output - output.max())
        best = int(output.argmax())
        told = {"prediction": self.model["labels"][best], "confidence": round(float(shifted[best] / shifted.sum()), 6)}
        self.log.write(json.dumps(told) + "\n")
        self.log.flush()
        return told


def main() -> None:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=json.loads, help="graph, weights, tokenizer, length, labels, threads, log")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True, help="largest batch")
    parser.add_argument("--workers", type=int, required=True, help="processes that compute")
    parser.add_argument("--wait", type=float, required=True, help="seconds that a batch waits")
    options = parser.parse_args()
    assert os.environ.get("LIT_SERVER_API_KEY"), "without a key it would do less than the other"
    api = Labels(options.model, max_batch_size=options.rows, batch_timeout=options.wait, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=options.workers, timeout=30)
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
