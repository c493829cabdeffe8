"""What several test files share."""

import os

import pytest

# Before any import of a library that would ask: no test needs the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # the workers share the cores already; more threads would wait for each other


@pytest.fixture(scope="session")
def minilm():
    """The embedded pretrained model."""
    from encoder.models import load

    return load("minilm")


@pytest.fixture(scope="session")
def scratch():
    """The untrained encoder of BERT's shape."""
    from encoder.models import load

    return load("scratch-untrained")


@pytest.fixture
def tiny_folder(tmp_path):
    """The folder of a tiny random BERT, for the test to spoil."""
    from tests.tiny import save_tiny

    return save_tiny(tmp_path / "tiny")
