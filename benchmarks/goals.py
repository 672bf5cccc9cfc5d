"""What must hold and what we claim: the rows of the goals table that this folder measures."""

from typing import NamedTuple

LESS = ("seconds", "milliseconds", "points", "megabytes", "part")
"""Units of which less is better."""


class Goal(NamedTuple):
    """One figure.

    Args:
        row: Its id in the table of goals.
        what: In words.
        benchmark: Whose records hold it.
        value: Its name in their values.
        floor: Must.
        goal: What we aim to claim.
        unit: `share`, `times`, `rate` a second; or `seconds`, `milliseconds`, `points`, `megabytes` or
            `part`, of which less is better.
    """

    row: str
    what: str
    benchmark: str
    value: str
    floor: float
    goal: float
    unit: str = "share"

    def holds(self, measured: float, bound: float) -> bool:
        """Whether `measured` reaches `bound`."""
        return measured <= bound if self.unit in LESS else measured >= bound


GOALS = (
    Goal("P1", "useful training FLOP rate over the GEMM rate, short texts", "P1-short", "ratio", 0.45, 0.60),
    Goal("P1", "the same, 256 tokens", "P1-256", "ratio", 0.45, 0.60),
    Goal("P2", "time to equal accuracy against Trainer defaults, short texts", "P2-short", "ratio", 1.5, 3.0, "times"),
    Goal("P2", "the same, IMDb at 256 tokens", "P2-imdb", "ratio", 1.1, 1.5, "times"),
    Goal("P2b", "the same against a tuned Trainer, short texts", "P2b-short", "ratio", 1.1, 1.5, "times"),
    Goal("P2b", "the same against a tuned Trainer, IMDb at 256 tokens", "P2b-imdb", "ratio", 1.1, 1.2, "times"),
    Goal("P4", "IMDb, 25,000 labels, accuracy", "P4", "accuracy", 0.90, 0.92),
    Goal("P5", "IMDb, 3,000 labels, accuracy", "P5", "accuracy", 0.85, 0.87),
    Goal("P7", "SST-2 dev accuracy", "P7", "accuracy", 0.900, 0.910),
    Goal("P8", "Banking77, all labels, accuracy", "P8-full", "accuracy", 0.915, 0.925),
    Goal("P8", "Banking77, 10 labels a class, accuracy", "P8-10", "accuracy", 0.83, 0.85),
    Goal("P9", "CLINC150, in-scope accuracy with rejection", "P9", "accuracy", 0.945, 0.96),
    Goal("P9", "CLINC150, out-of-scope recall", "P9", "out_of_scope_recall", 0.50, 0.55),
    Goal("P10", "Financial PhraseBank, 50 % agree, 5-fold accuracy", "P10-50", "accuracy", 0.83, 0.855),
    Goal("P10", "Financial PhraseBank, all agree, 5-fold accuracy", "P10-100", "accuracy", 0.96, 0.97),
    Goal("P12", "8 labels a class, two classes: training time", "P12", "seconds", 30.0, 10.0, "seconds"),
    *(
        goal
        for scheme in ("static", "dynamic")
        for goal in (
            Goal("P13", f"int8, {scheme}: accuracy lost", f"P13-{scheme}", "lost", 0.5, 0.25, "points"),
            Goal(
                "P13",
                f"int8, {scheme}: rows/s over the faster of our own in fp32",
                f"P13-{scheme}",
                "gain",
                1.6,
                2.0,
                "times",
            ),
            Goal("P13", f"int8, {scheme}: size of the bundle", f"P13-{scheme}", "megabytes", 25.0, 23.0, "megabytes"),
        )
    ),
    Goal("P13", "a chain of steps: accuracy lost", "P13-chain", "lost", 1.0, 1.0, "points"),
    Goal("P13", "the same: rows/s over the bundle it came from", "P13-chain", "gain_over_bundle", 4.0, 4.0, "times"),
    Goal("P13", "the same: bytes over the bundle it came from", "P13-chain", "share_of_bytes", 0.25, 0.25, "part"),
    *(
        goal
        for name, what in (
            ("sst2", "SST-2"),
            ("banking77", "Banking77"),
            ("fashion", "Fashion-MNIST, EfficientNet-Lite0"),
            ("ecg5000", "ECG5000, inception"),
        )
        for goal in (
            Goal("P13", f"int8, {what}: accuracy lost", f"P13-{name}", "lost", 0.5, 0.25, "points"),
            Goal(
                "P13",
                f"int8, {what}: rows/s over the faster of our own in fp32",
                f"P13-{name}",
                "gain",
                1.6,
                2.0,
                "times",
            ),
        )
    ),
    Goal("P14", "serving int8, 32 tokens: requests/s with p99 < 50 ms", "P14-32", "rate", 150.0, 300.0, "rate"),
    Goal("P14", "the same, 128 tokens", "P14-128", "rate", 50.0, 80.0, "rate"),
    Goal("P15", "micro-batching gain at 16 clients", "P15-batching", "gain", 1.3, 1.8, "times"),
    Goal("P15", "HTTP over a bare session, 1 client", "P15-overhead", "milliseconds", 2.0, 1.0, "milliseconds"),
    Goal(
        "P21",
        "UCR series, mean of the nine small sets (FordA not run): accuracy above aeon's MiniROCKET",
        "P21",
        "gain",
        -0.01,
        0.0,
    ),
    Goal("P21", "the same, preset fast", "P21", "fast_gain", -0.01, 0.0),
    Goal("P22", "Fashion-MNIST, 10,000 labels: accuracy above the best rival", "P22-fashion", "gain", 0.0, 0.01),
    Goal("P22", "CIFAR-10, 20,000 labels: accuracy above the best rival", "P22-cifar10", "gain", 0.0, 0.01),
    Goal("P22", "Spoken digits, 900 recordings: accuracy above the best rival", "P22-digits", "gain", 0.0, 0.01),
    Goal("P22", "RAVDESS by actor, 288 recordings: accuracy above the best rival", "P22-ravdess", "gain", 0.0, 0.01),
    Goal(
        "P23",
        "MovieLens, the next film: NDCG@10 over the best of popularity, item-kNN, ALS, BPR",
        "P23",
        "gain",
        0.0,
        0.2,
    ),
    Goal("P24", "one H100, 128 tokens: training sequences/s", "P24", "rate", 8000.0, 15000.0, "rate"),
    Goal("memory", "100,000 small pictures through fit, peak", "memory-pictures", "megabytes", 4e3, 3e3, "megabytes"),
    Goal("memory", "10 h of recordings through fit, peak", "memory-recordings", "megabytes", 4e3, 3e3, "megabytes"),
    Goal("demo", "`make demo` after installation, default preset", "demo-balanced", "seconds", 360.0, 360.0, "seconds"),
    Goal("demo", "its test accuracy", "demo-balanced", "accuracy", 0.85, 0.85),
)
