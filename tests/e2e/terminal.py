#!/usr/bin/python3
"""terminal.py STEP... -- COMMAND...: runs COMMAND on a terminal of its own and holds a conversation with it.

Steps: expect=TEXT (wait until it is printed), send=TEXT (with \\n, \\x10 and so on), size=ROWSxCOLUMNS.
What the terminal showed goes to stdout, the exit code is COMMAND's; 124 when a step's text did not come in 30 s.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

split = sys.argv.index("--")
steps, command = sys.argv[1:split], sys.argv[split + 1:]
pid, fd = pty.fork()
if pid == 0:
    # The size has to be there before the program asks; the parent may be late.
    if steps and steps[0].startswith("size="):
        rows, columns = steps[0][5:].split("x")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
    os.execvp(command[0], command)

seen = b""  # not yet matched by an expect
resized = False
deadline = time.monotonic() + 30


def more(timeout):
    """Reads once; False at the end of the terminal."""
    global seen
    if not select.select([fd], [], [], timeout)[0]:
        return True
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    if not data:
        return False
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    seen += data
    return True


def give_up(why):
    sys.stdout.flush()
    print("\nterminal.py: " + why, file=sys.stderr)
    os.kill(pid, signal.SIGKILL)
    sys.exit(124)


for step in steps:
    verb, _, value = step.partition("=")
    value = value.encode().decode("unicode_escape")
    deadline = time.monotonic() + 30
    if verb == "expect":
        while value.encode() not in seen:
            if not more(0.2) or time.monotonic() > deadline:
                give_up("did not see %r" % value)
            # The old CLI asks for the size once and looks out for changes a little later: one in between is lost.
            if resized:
                os.kill(pid, signal.SIGWINCH)
        seen = seen[seen.index(value.encode()) + len(value.encode()):]
    elif verb == "send":
        os.write(fd, value.encode())
    elif verb == "size":
        rows, columns = value.split("x")
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
        os.kill(pid, signal.SIGWINCH)
        resized = True
    else:
        give_up("unknown step " + step)

deadline = time.monotonic() + 30
while more(0.2):
    if time.monotonic() > deadline:
        give_up("the command did not end")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
