#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes container-create bodies and says, by a search that knows none of headgate's tables, which ask for the host.

    inspect_oracle.py SEED N        lines "VERDICT HEX": forbidden (has to be refused), clean (has to be accepted)

A body starts as one that asks for nothing; a forbidden one gets one thing that no limited role may have, with its
keys in any spelling that Go takes for the field, its strings in any escapes, in any place the engine looks at. The
verdict is not the generator's memory of what it did: the finished text is read again and searched.
"""
import json
import random
import sys

VARIANTS = {"k": "\u212a", "K": "\u212a", "s": "\u017f", "S": "\u017f"}


def fold(text):
    return "".join(c.casefold() if len(c.casefold()) == 1 else c for c in text)


def spell(rng, key):
    return "".join(
        VARIANTS[c] if c in VARIANTS and rng.random() < 0.3 else c.swapcase() if rng.random() < 0.4 else c
        for c in key
    )


def escape(rng, text):
    out = []
    for c in text:
        if rng.random() < 0.15 or c in '"\\' or ord(c) < 0x20:
            out.append("".join(f"\\u{unit:04{rng.choice('xX')}}" for unit in utf16(c)))
        elif c == "/" and rng.random() < 0.3:
            out.append("\\/")
        else:
            out.append(c)
    return '"' + "".join(out) + '"'


def utf16(c):
    raw = c.encode("utf-16-be")
    return [raw[i] << 8 | raw[i + 1] for i in range(0, len(raw), 2)]


def write(rng, value):
    space = rng.choice(["", "", " ", "\n\t"])
    if isinstance(value, dict):
        items = list(value.items())
        rng.shuffle(items)
        return "{" + ("," + space).join(f"{escape(rng, k)}{space}:{space}{write(rng, v)}" for k, v in items) + "}"
    if isinstance(value, list):
        return "[" + space + ("," + space).join(write(rng, v) for v in value) + "]"
    if isinstance(value, str):
        return escape(rng, value)
    return json.dumps(value)


def word(rng):
    return rng.choice(["a", "Privileged", '"Privileged":true', "/etc:/etc", "host", "\u212a", "x\\y", "SYS_ADMIN"]) + str(
        rng.randrange(1000)
    )


def harmless(rng):
    host = {
        "Binds": [f"vol{rng.randrange(9)}:/etc:ro"], "CapAdd": ["NET_BIND_SERVICE"], "CapDrop": ["ALL"],
        "Privileged": False, "PidMode": "", "NetworkMode": rng.choice(["default", "front", "none"]),
        "Memory": rng.randrange(1 << 40), "MaskedPaths": None, "Devices": [], "SecurityOpt": ["no-new-privileges"],
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/etc"}, {"Type": "tmpfs", "Target": "/proc"}],
        "Sysctls": {"net.core.somaxconn": "9"}, "IpcMode": rng.choice(["", "private"]), "UsernsMode": "",
    }
    return {
        "Image": word(rng), "Cmd": ["sh", "-c", word(rng), '{"HostConfig":{"Privileged":true}}'],
        "Env": [word(rng) for _ in range(rng.randrange(4))], "Labels": {"l" + str(i): word(rng) for i in range(3)},
        "HostConfig": {k: v for k, v in host.items() if rng.random() < 0.5}, "Tty": rng.random() < 0.5,
    }


FORBIDDEN = [
    {"Privileged": True}, {"Binds": ["/etc:/x"]}, {"Binds": ["v:/x", "/:/host:ro"]}, {"CapAdd": ["SYS_ADMIN"]},
    {"CapAdd": ["cap_sys_ptrace"]}, {"CapAdd": "ALL"}, {"PidMode": "host"}, {"PidMode": "container:x"},
    {"IpcMode": "host"}, {"NetworkMode": "host"}, {"NetworkMode": "container:x"}, {"UTSMode": "host"},
    {"UsernsMode": "host"}, {"CgroupnsMode": "host"}, {"SecurityOpt": ["seccomp=unconfined"]},
    {"SecurityOpt": ["a", "apparmor:unconfined"]}, {"Devices": [{"PathOnHost": "/dev/sda"}]},
    {"DeviceCgroupRules": ["a *:* rwm"]}, {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]},
    {"Mounts": [{"Type": "Bind", "Source": "/run/docker.sock", "Target": "/x"}]},
    {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Options": {
        "type": "none", "o": "bind", "device": "/"}}}}]},
    {"VolumesFrom": ["x"]}, {"MaskedPaths": []}, {"ReadonlyPaths": []}, {"Runtime": "/bin/sh"},
    {"CgroupParent": "/"}, {"Sysctls": {"kernel.core_pattern": "|/x"}}, {"VolumeDriver": "x"},
]


def merge(rng, body, extra):
    key, value = next(iter(extra.items()))
    place = body if rng.random() < 0.25 else body.setdefault("HostConfig", {})
    place.pop(key, None)
    place[key] = value


def respell(rng, value, host):
    """Keys of the engine's structures in other spellings; keys of maps (labels, sysctls, options) stay as they are."""
    if isinstance(value, list):
        return [respell(rng, v, host) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, member in value.items():
        is_map = key in ("Labels", "Sysctls", "Options")
        out[spell(rng, key)] = member if is_map else respell(rng, member, host)
    return out


def find(value, path=()):
    """Every (path of folded keys, value) of the text, lists flattened."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from find(member, path + (fold(key),))
        if not value:
            yield path, value
    elif isinstance(value, list):
        for member in value:
            yield from find(member, path)
        if not value:
            yield path, value
    else:
        yield path, value


def forbidden(text):
    usual = {"net_bind_service"}
    for path, value in find(json.loads(text)):
        if path[:1] == ("hostconfig",):
            path = path[1:]
        name = path[0] if path else ""
        if name == "privileged" and value is True:
            return True
        if name == "binds" and str(value).startswith("/") and ":" in value:
            return True
        if name == "capadd" and str(value).lower().replace("cap_", "") not in usual:
            return True
        if name in ("pidmode", "ipcmode", "networkmode", "utsmode", "usernsmode", "cgroupnsmode") and (
            value == "host" or str(value).startswith("container:")
        ):
            return True
        if name == "securityopt" and "unconfined" in str(value):
            return True
        if name in ("devices", "devicecgrouprules", "volumesfrom", "cgroupparent", "runtime", "volumedriver"):
            if value not in ("", [], None):
                return True
        if name in ("maskedpaths", "readonlypaths") and value is not None:
            return True
        if name == "mounts" and (
            path[1:] == ("type",) and str(value).lower() == "bind" or path[-1] == "device"
        ):
            return True
        if name == "sysctls" and not path[1].startswith("net."):
            return True
    return False


def main(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        body = harmless(rng)
        if rng.random() < 0.6:
            merge(rng, body, rng.choice(FORBIDDEN))
        text = write(rng, respell(rng, body, False))
        print("forbidden" if forbidden(text) else "clean", text.encode().hex())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(int(sys.argv[1]), int(sys.argv[2]))
