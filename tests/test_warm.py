"""Where the server says that it is reached."""

import pytest
from streamlit import config, net_util

from pages.shared import warm

NETWORK = "192.168.7.7"


@pytest.fixture
def options(monkeypatch):
    """Sets options of the server as its command line would, until the test ends."""
    monkeypatch.setattr(net_util, "get_internal_ip", lambda: NETWORK)
    before = dict(config.get_config_options())

    def give(**wishes):
        for name, value in {"server_port": 8501, **wishes}.items():
            config.set_option(name.replace("_", ".", 1), value, where_defined="command-line argument")

    kept = {key: (option.value, option.where_defined) for key, option in before.items()}
    yield give
    for key, (value, where) in kept.items():
        config.set_option(key, value, where_defined=where)


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({}, ["http://localhost:8501", f"http://{NETWORK}:8501"]),
        ({"server_address": "0.0.0.0"}, ["http://localhost:8501", f"http://{NETWORK}:8501"]),
        ({"server_address": "127.0.0.1"}, ["http://127.0.0.1:8501"]),
        ({"server_address": "10.1.2.3"}, ["http://10.1.2.3:8501"]),
        ({"server_address": "::1"}, ["http://[::1]:8501"]),
        ({"server_address": "unix:///run/lens.sock"}, ["unix:///run/lens.sock"]),
        ({"server_baseUrlPath": "/lens/"}, ["http://localhost:8501/lens", f"http://{NETWORK}:8501/lens"]),
        ({"server_sslCertFile": "cert.pem"}, ["https://localhost:8501", f"https://{NETWORK}:8501"]),
        ({"browser_serverAddress": "lens.school.example", "browser_serverPort": 80}, ["http://lens.school.example:80"]),
    ],
)
def test_the_greeting_names_the_addresses_at_which_the_server_answers(options, capsys, wishes, expected):
    options(**wishes)
    warm.greet()
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in said[:-1]] == expected
    assert said[-1] == "Ctrl+C stops it."
