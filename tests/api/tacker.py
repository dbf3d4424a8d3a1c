#!/usr/bin/env python3
"""A VNF's whole life by OpenStack's command line, with python-tackerclient's commands, one interpreter for all of them.

Usage: tacker.py ENDPOINT CERTIFICATE NAME SECRET VNFD-ID CALLBACK MAJOR     Prints each command and what it gave; fails where one does.
"""

import contextlib
import io
import json
import logging
import sys
import tempfile
import time

from openstackclient.shell import OpenStackShell

endpoint, certificate, name, secret, vnfd, callback, major = sys.argv[1:]
# Without Keystone: HTTP Basic, by keystoneauth's own plug-in.
HOW = ["--os-auth-type", "http_basic", "--os-username", name, "--os-password", secret, "--os-endpoint", endpoint]
HOW += ["--os-cacert", certificate, "--os-tacker-api-version", major]
GOING = ("STARTING", "PROCESSING", "ROLLING_BACK")


def plain(*command):
    """What a command prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = OpenStackShell().run([*HOW, *command])
    print("$ openstack", *command, "\n" + out.getvalue(), flush=True)
    if code:
        sys.exit(f"{command}: exit code {code}")
    return out.getvalue()


def shown(*command):
    return json.loads(plain(*command, "-f", "json"))


def file(body):
    kept = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
    with kept as f:
        json.dump(body, f)
    return kept.name


def equal(got, want, where):
    if got != want:
        sys.exit(f"{where}: {got!r}, not {want!r}")


def settled(vnf, operation, count):
    """The newest operation of that kind, at rest and COMPLETED."""
    begun = time.monotonic()
    while True:
        ops = shown("vnflcm", "op", "list", "--filter", f"(eq,vnfInstanceId,{vnf});(eq,operation,{operation})")
        if len(ops) == count and all(op["Operation State"] not in GOING for op in ops):
            break
        if time.monotonic() - begun > 180:
            sys.exit(f"{operation}: {ops}")
        time.sleep(0.2)
    for op in ops:
        one = shown("vnflcm", "op", "show", op["ID"])
        equal((one["Operation"], one["Operation State"]), (operation, "COMPLETED"), one)


def main():
    logging.getLogger("keystoneauth").setLevel(logging.ERROR)
    # It asks for the versions of the first major as one of the second.
    if major == "2":
        equal(shown("vnflcm", "versions", "--major-version", "2")["uriPrefix"], "/vnflcm", "versions")
    made = shown("vnflcm", "create", "--name", "web", "--description", "by tackerclient", vnfd)
    vnf = made["ID"]
    equal((made["VNF Instance Name"], made["Instantiation State"]), ("web", "NOT_INSTANTIATED"), "create")
    equal(listed(vnf), True, "list")

    plain("vnflcm", "instantiate", vnf, file({"flavourId": "default"}))
    settled(vnf, "INSTANTIATE", 1)
    up = shown("vnflcm", "show", vnf)
    equal((up["Instantiation State"], up["VNFD ID"]), ("INSTANTIATED", vnfd), "show")

    plain("vnflcm", "scale", "--type", "SCALE_OUT", "--aspect-id", "servers", vnf)
    settled(vnf, "SCALE", 1)
    plain("vnflcm", "scale", "--type", "SCALE_IN", "--aspect-id", "servers", "--number-of-steps", "1", vnf)
    settled(vnf, "SCALE", 2)

    guest = guests(shown("vnflcm", "show", vnf))[0]
    plain("vnflcm", "heal", "--cause", "slow", "--vnfc-instance", guest, "--", vnf)
    settled(vnf, "HEAL", 1)
    if guest in guests(shown("vnflcm", "show", vnf)):
        sys.exit("the guest that was healed is there still")

    plain("vnflcm", "update", "--I", file({"vnfInstanceName": "front"}), vnf)
    settled(vnf, "MODIFY_INFO", 1)
    equal(shown("vnflcm", "show", vnf)["VNF Instance Name"], "front", "update")

    subscribed("vnflcm", "subsc")
    if major == "2":
        watched(vnf)

    plain("vnflcm", "terminate", "--termination-type", "FORCEFUL", vnf)
    settled(vnf, "TERMINATE", 1)
    plain("vnflcm", "delete", vnf)
    equal(listed(vnf), False, "after the end")


def watched(vnf):
    """Alarms, a PM job and a threshold: made, read, and taken away."""
    subscribed("vnffm", "sub")
    shown("vnffm", "alarm", "list")
    criteria = {"performanceMetric": ["VcpuUsageMeanVnf"], "collectionPeriod": 5, "reportingPeriod": 5}
    job = {"objectType": "Vnf", "objectInstanceIds": [vnf], "criteria": criteria, "callbackUri": f"{callback}/pm"}
    job = shown("vnfpm", "job", "create", file(job))["ID"]
    plain("vnfpm", "job", "update", job, file({"callbackUri": f"{callback}/other"}))
    equal(uri(shown("vnfpm", "job", "show", job)), f"{callback}/other", "job")
    details = {"thresholdValue": 90, "hysteresis": 5}
    criteria = {"performanceMetric": "VcpuUsageMeanVnf", "thresholdType": "SIMPLE", "simpleThresholdDetails": details}
    limit = {"objectType": "Vnf", "objectInstanceId": vnf, "criteria": criteria, "callbackUri": f"{callback}/limit"}
    limit = shown("vnfpm", "threshold", "create", file(limit))["ID"]
    equal(limit in [t["ID"] for t in shown("vnfpm", "threshold", "list")], True, "threshold")
    plain("vnfpm", "threshold", "delete", limit)
    plain("vnfpm", "job", "delete", job)


def subscribed(*api):
    told = shown(*api, "create", file({"callbackUri": f"{callback}/{api[0]}"}))["ID"]
    equal(uri(shown(*api, "show", told)), f"{callback}/{api[0]}", api)
    equal(told in [s["ID"] for s in shown(*api, "list")], True, api)
    plain(*api, "delete", told)


def uri(of):
    """Some commands call it Uri, some URI."""
    return next(value for name, value in of.items() if name.lower() == "callback uri")


def listed(vnf):
    return vnf in [v["ID"] for v in shown("vnflcm", "list")]


def guests(vnf):
    info = vnf["Instantiated Vnf Info"]
    info = json.loads(info) if isinstance(info, str) else info
    return [guest["id"] for guest in info["vnfcResourceInfo"]]


if __name__ == "__main__":
    main()
