"""The HTTP API against its own document: no server error, no answer that the document does not describe.

The seed is fixed and the time bounded, so that what was found once is found again."""

import os
import subprocess
import sys

from serving import Server

SEED = "20261127"
# Seconds for all of it.
LIMIT = 300
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,allow_header_conformance"
)


def test_no_answer_breaks_the_document():
    server = Server()
    try:
        url = f"http://{server.address}"
        done = subprocess.run(
            [
                os.path.join(os.path.dirname(sys.executable), "schemathesis"),
                "--config-file", os.path.join(os.path.dirname(__file__), "schemathesis.toml"),
                "run", f"{url}/openapi.json", "--url", url, "--seed", SEED, "--phases", "coverage,fuzzing",
                "--checks", CHECKS, "--max-examples", "8", "--request-timeout", "10", "--workers", "1",
                "--max-time", "120",
                # What has no end of its own has no answer that could be looked at.
                "--exclude-path", "/v1/live",
                "--warnings", "off", "--no-color",
            ],
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )
    finally:
        server.close()
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
