#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An independent word on which keys Go's encoding/json takes for one another.

Written from its documentation ("a case-insensitive match", Unicode's simple case folding as in bytes.EqualFold), on
top of Python's own Unicode tables. Only what folds to ASCII is claimed: the engine's field names are ASCII.

    inspect_fold.py points          every character above ASCII that folds to an ASCII one: "CODE LETTER"
    inspect_fold.py pairs SEED N    pairs of keys, hexadecimal, and 1 when they are alike: "HEX HEX 0"
"""
import random
import sys

FIELDS = [
    "HostConfig", "Privileged", "Binds", "Mounts", "CapAdd", "Devices", "PidMode", "SecurityOpt", "Sysctls",
    "TaskTemplate", "ContainerSpec", "CgroupParent", "DeviceCgroupRules", "MaskedPaths", "Source", "Type",
]
# Characters that look like, or lower or upper to, ASCII letters; two of them fold to one.
LOOKALIKES = {
    "k": "K\u212a\uff4b\u03ba\u043a", "s": "S\u017f\u0455\uff53\u00df", "i": "I\u0131\u0130\u0456", "a": "A\u0430\u00e5\u212b",
    "o": "O\u043e\u03bf\u2126", "e": "E\u0435", "p": "P\u0440", "c": "C\u0441\u217d", "d": "D\u217e", "m": "M\u217f",
}


def fold(text):
    """Simple folding: one character to one; what Python folds to several has no simple folding to ASCII."""
    return "".join(c.casefold() if len(c.casefold()) == 1 else c for c in text)


def mutate(rng, text):
    out = []
    for c in text:
        roll = rng.random()
        if roll < 0.35:
            out.append(c.swapcase())
        elif roll < 0.55 and c.lower() in LOOKALIKES:
            out.append(rng.choice(LOOKALIKES[c.lower()]))
        elif roll < 0.57:
            out.append(c + rng.choice(" \u0301\u200b\u00ad_-x"))
        elif roll >= 0.58:
            out.append(c)
    return "".join(out)


def points():
    for code in range(0x80, 0x110000):
        if 0xD800 <= code <= 0xDFFF:
            continue
        folded = fold(chr(code))
        if folded.isascii():
            print(f"{code} {folded}")


def pairs(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        first = rng.choice(FIELDS)
        second = first
        for _ in range(rng.choice((0, 1, 1, 2))):
            second = mutate(rng, second)
        if rng.random() < 0.1:
            second = rng.choice(FIELDS)
        print(first.encode().hex(), second.encode().hex() or "-", int(fold(first) == fold(second)))


if __name__ == "__main__":
    if sys.argv[1:] == ["points"]:
        points()
    elif len(sys.argv) == 4 and sys.argv[1] == "pairs":
        pairs(int(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(__doc__)
