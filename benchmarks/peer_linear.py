"""The other peer: TF-IDF and logistic regression, its strength chosen by cross-validation on the training rows."""

import time
from dataclasses import dataclass

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Linear:
    """What it reached, and the seconds of fitting it (the search included)."""

    accuracy: float
    seconds: float
    strength: float


def fit_linear(train: pd.DataFrame, test: pd.DataFrame) -> Linear:
    """Words and pairs of words, sublinear counts, 3-fold search of C."""
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2), LogisticRegression(max_iter=1000)
    )
    search = GridSearchCV(pipeline, {"logisticregression__C": STRENGTHS}, cv=3)
    began = time.monotonic()
    search.fit(train.text, train.label)
    seconds = time.monotonic() - began
    strength = float(search.best_params_["logisticregression__C"])
    return Linear(float(search.score(test.text, test.label)), seconds, strength)
