"""Pods of the rendered chart as processes of this machine: with their very commands, arguments, users and environment.

What a node would do is done here: files of Secrets and ConfigMaps are written below a folder, which stands before every path at which a pod
mounts something; names of Services and ports become addresses of this machine; and nothing else is inherited from the test's environment.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from tapedeck_testing.chart.rendering import Manifest
from tapedeck_testing.free_ports import free_port

ADDRESS: Final = "127.0.0.1"
PROGRAMS: Final = {"python": sys.executable}
_CAPABILITIES: Final = (
    "-all,+dac_read_search"  # the interpreter may lie where only root looks; nothing may be written
)


@functools.cache
def can_change_user() -> bool:
    """Whether processes can be given the pods' own user: by root, with util-linux."""
    return os.geteuid() == 0 and shutil.which("setpriv") is not None


class Node:
    """Where the pods of one rendering run. `secrets` are those that the operator would have made: name to key to text."""

    def __init__(
        self, documents: tuple[Manifest, ...], folder: Path, secrets: dict[str, dict[str, str]] | None = None
    ) -> None:
        self.documents = documents
        self.folder = folder
        self._files: dict[tuple[str, str], dict[str, str]] = {
            ("Secret", name): data for name, data in (secrets or {}).items()
        }
        self._ports: dict[tuple[str, int], int] = {}
        for one in documents:
            if one["kind"] in {"Secret", "ConfigMap"}:
                held = one.get("stringData") or one.get("data") or {}
                self._files[one["kind"], one["metadata"]["name"]] = held
        self._services = {
            one["metadata"]["name"]: one["spec"]["ports"]
            for one in documents
            if one["kind"] == "Service" and one["spec"].get("clusterIP") != "None"
        } | {
            one["metadata"]["name"]: one["spec"]["ports"]
            for one in documents
            if one["kind"] == "Service" and one["metadata"]["name"].endswith("-redis")
        }

    def port(self, pod: str, container_port: int) -> int:
        """The port of this machine that stands for a pod's."""
        return self._ports.setdefault((pod, container_port), free_port())

    def environment(self, name: str, pod: Manifest) -> dict[str, str]:
        """The environment of the pod's container, as it is written, but for paths and addresses."""
        (container,) = pod["spec"]["containers"]
        self._mount(name, pod)
        values: dict[str, str] = {}
        for one in container.get("env", ()):
            # One may name those before it.
            values[one["name"]] = _expanded(self._value(one), values)
        for source in container.get("envFrom", ()):
            values |= self._files["Secret", source["secretRef"]["name"]]
        return {variable: self._here(name, container, text) for variable, text in values.items()}

    def start(self, name: str, pod: Manifest, log: Path) -> "Running":
        """The pod's container as a process."""
        (container,) = pod["spec"]["containers"]
        environment = self.environment(name, pod)
        words = [*container["command"], *container.get("args", ())]
        words = [
            PROGRAMS.get(word) or self._here(name, container, _expanded(word, environment)) for word in words
        ]
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*self._as_user(pod), *words],
                env={"PATH": os.environ["PATH"], **environment},
                cwd=self._root(name),
                stdout=out,
                stderr=out,
            )
        return Running(self, name, pod, process, log)

    def _value(self, variable: dict[str, Any]) -> str:
        if "value" in variable:
            text: str = variable["value"]
            return text
        reference = variable["valueFrom"]["secretKeyRef"]
        return self._files["Secret", reference["name"]][reference["key"]]

    def _root(self, name: str) -> Path:
        root = self.folder / name
        root.mkdir(parents=True, exist_ok=True)
        return root

    def _mount(self, name: str, pod: Manifest) -> None:
        """Writes what the pod's volumes hold. A claim is one folder for all pods that have it."""
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        (container,) = pod["spec"]["containers"]
        user = pod["spec"]["securityContext"].get("runAsUser", os.geteuid())
        for mount in container["volumeMounts"]:
            volume = volumes.get(mount["name"], {})
            place = self._root(name) / mount["mountPath"].lstrip("/")
            if place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if claim := volume.get("persistentVolumeClaim"):
                held = self.folder / "claims" / claim["claimName"]
                held.mkdir(parents=True, exist_ok=True)
                place.symlink_to(held)
            else:
                place.mkdir()
            if secret := volume.get("secret"):
                data = self._files["Secret", secret["secretName"]]
                for item in secret["items"]:
                    (place / item["path"]).write_text(data[item["key"]])
            elif config := volume.get("configMap"):
                for key, text in self._files["ConfigMap", config["name"]].items():
                    (place / key).write_text(text)
            elif can_change_user():
                os.chown(place, user, user)

    def _here(self, name: str, container: dict[str, Any], text: str) -> str:
        """A text of the pod's with paths and addresses of this machine."""
        mounted = "|".join(re.escape(mount["mountPath"]) for mount in container["volumeMounts"])
        text = re.sub(rf"(?<!\w)({mounted})(?=/|$)", rf"{self._root(name)}\1", text)
        for service, ports in self._services.items():
            for port in ports:
                container_port = self._container_port(service, port["targetPort"])
                text = text.replace(
                    f"{service}:{port['port']}", f"{ADDRESS}:{self.port(service, container_port)}"
                )
        for port in container.get("ports", ()):
            number = port["containerPort"]
            text = text.replace(f"0.0.0.0:{number}", f"{ADDRESS}:{self.port(name, number)}")
            text = str(self.port(name, number)) if text == str(number) else text
        return ADDRESS if text == "*" else text

    def _container_port(self, workload: str, port: str) -> int:
        (pod,) = [
            one["spec"]["template"]
            for one in self.documents
            if one["kind"] in {"Deployment", "StatefulSet"} and one["metadata"]["name"] == workload
        ]
        (number,) = [
            one["containerPort"] for one in pod["spec"]["containers"][0]["ports"] if one["name"] == port
        ]
        return int(number)

    def _as_user(self, pod: Manifest) -> list[str]:
        context = pod["spec"]["securityContext"]
        if not can_change_user():
            return []
        return [
            *("setpriv", f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}"),
            *("--clear-groups", "--no-new-privs", f"--inh-caps={_CAPABILITIES}"),
            *(f"--ambient-caps={_CAPABILITIES}", f"--bounding-set={_CAPABILITIES}"),
        ]


def _expanded(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], text)


class Running:
    """A pod that runs."""

    def __init__(
        self, node: Node, name: str, pod: Manifest, process: "subprocess.Popen[bytes]", log: Path
    ) -> None:
        self._node = node
        self._name = name
        self._spec = pod["spec"]
        self.process = process
        self.log = log

    def probe(self, which: str) -> None:
        """Asks a probe as a kubelet does, until it is content. Fails after as many failures as the probe allows, or the process' end."""
        (container,) = self._spec["containers"]
        probe = container[which]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        asked = probe["httpGet"]
        address = f"http://{ADDRESS}:{self._node.port(self._name, ports[asked['port']])}{asked['path']}"
        deadline = time.monotonic() + max(30, probe["failureThreshold"] * probe["periodSeconds"])
        while (said := status(address, probe["timeoutSeconds"])) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"{self._name}: {which} of {address} says {said}\n{self.log.read_text()[-2000:]}"
                )
            time.sleep(0.05)

    def end(self) -> int:
        """SIGTERM, and its exit code; subprocess.TimeoutExpired where the pod's grace is over before it ends."""
        pre_stop = self._spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        self.process.terminate()
        return self.process.wait(self._spec["terminationGracePeriodSeconds"] - pre_stop.get("seconds", 0))

    def kill(self) -> None:
        """Ends it for good."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def status(address: str, timeout_s: float) -> int | str:
    """What an address answers, or why it does not."""
    try:
        with urllib.request.urlopen(address, timeout=timeout_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError as error:
        return str(error)
