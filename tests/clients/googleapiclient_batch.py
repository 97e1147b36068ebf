"""Google's Python client of all its APIs, google-api-python-client, against the local cloud's batch endpoint.

    URL=http://127.64.0.1:8780 TOKEN_FILE=... PROJECT=... googleapiclient_batch.py
"""

import json
import os
import pathlib

import google_auth_httplib2
import googleapiclient
from google.oauth2.credentials import Credentials
from googleapiclient import discovery

PROJECT, URL = os.environ["PROJECT"], os.environ["URL"]
REGION = "europe-west1"
TOKEN = pathlib.Path(os.environ["TOKEN_FILE"]).read_text(encoding="utf-8").strip()


def service():
    package = pathlib.Path(googleapiclient.__file__).parent
    text = (package / "discovery_cache/documents/compute.v1.json").read_text(encoding="utf-8")
    document = json.loads(text) | {"rootUrl": f"{URL}/", "baseUrl": f"{URL}/compute/v1/"}
    http = google_auth_httplib2.AuthorizedHttp(Credentials(TOKEN))
    return discovery.build_from_document(document, http=http)


def together(compute, requests):
    """The responses, or the errors, by the requests' names."""
    answers = {}
    batch = compute.new_batch_http_request(
        callback=lambda name, answer, error: answers.update({name: error or answer})
    )
    for name, request in requests.items():
        batch.add(request, request_id=name)
    batch.execute()
    return answers


if __name__ == "__main__":
    compute = service()
    place = {"project": PROJECT, "region": REGION}
    made = together(
        compute,
        {name: compute.addresses().insert(body={"name": name}, **place) for name in ("one", "two", "three")}
        | {"bad": compute.addresses().insert(body={"name": "Bad"}, **place)},
    )
    assert [made[name]["operationType"] for name in ("one", "two", "three")] == ["insert"] * 3, made
    assert made["bad"].resp.status == 400 and made["bad"].error_details[0]["reason"] == "invalid", made["bad"]
    for name in ("one", "two", "three"):
        compute.regionOperations().wait(operation=made[name]["name"], **place).execute()

    found = together(
        compute,
        {
            "all": compute.addresses().list(**place),
            "one": compute.addresses().get(address="one", **place),
            "none": compute.addresses().get(address="none", **place),
        },
    )
    assert [one["name"] for one in found["all"]["items"]] == ["one", "three", "two"], found
    assert found["one"]["status"] == "RESERVED"
    assert found["none"].resp.status == 404 and found["none"].error_details[0]["reason"] == "notFound"

    legacy = compute.httpHealthChecks()
    for method in (
        legacy.insert(project=PROJECT, body={"name": "hc", "port": 18482, "requestPath": "/healthz"}),
        compute.httpsHealthChecks().insert(project=PROJECT, body={"name": "tls"}),
        legacy.patch(project=PROJECT, httpHealthCheck="hc", body={"checkIntervalSec": 10}),
        compute.targetPools().insert(body={"name": "pool"}, **place),
        compute.targetPools().addHealthCheck(
            targetPool="pool", body={"healthChecks": [{"healthCheck": "global/httpHealthChecks/hc"}]}, **place
        ),
    ):
        operation = method.execute()
        assert "error" not in operation, operation
    assert legacy.get(project=PROJECT, httpHealthCheck="hc").execute()["checkIntervalSec"] == 10
    used = together(compute, {"hc": legacy.delete(project=PROJECT, httpHealthCheck="hc")})["hc"]
    assert used.error_details[0]["reason"] == "resourceInUseByAnotherResource", used
    compute.targetPools().removeHealthCheck(
        targetPool="pool", body={"healthChecks": [{"healthCheck": "global/httpHealthChecks/hc"}]}, **place
    ).execute()
    compute.targetPools().delete(targetPool="pool", **place).execute()
    legacy.delete(project=PROJECT, httpHealthCheck="hc").execute()
    compute.httpsHealthChecks().delete(project=PROJECT, httpsHealthCheck="tls").execute()

    gone = together(compute, {name: compute.addresses().delete(address=name, **place) for name in ("one", "two")})
    assert {answer["operationType"] for answer in gone.values()} == {"delete"}, gone
    compute.addresses().delete(address="three", **place).execute()
