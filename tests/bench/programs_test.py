# SPDX-License-Identifier: MIT
"""Load generator, attackers and stand-in engine against each other and against headgate: every mode does what it says,
and sees what goes wrong."""

import json
import multiprocessing
import os
import socket
import subprocess
import tempfile
import time
import unittest

from harness.host import RELEASE, TOKEN
from harness.proxies import free_port


def may_be_realtime():
    """Root may not everywhere."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def hog(core, seconds, ready):
    """Nobody else runs there meanwhile, real-time processes of lower priority neither."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    ready.set()
    time.sleep(0.5)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class Programs(unittest.TestCase):
    """Each test against the engine itself and against headgate in front of it."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        path = cls.directory.name
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout", f"{path}/key", "-out", f"{path}/cert"],
                       check=True, capture_output=True)
        os.chmod(f"{path}/key", 0o600)
        cls.engine_port, cls.gate_port = free_port(), free_port()
        engine = cls.spawn("bench/engine", "--tls", str(cls.engine_port), "--cert", f"{path}/cert", "--key",
                           f"{path}/key", f"{path}/sock", stdout=subprocess.PIPE)
        assert engine.stdout.readline() == b"ready\n"
        cls.spawn("headgate", "serve", "--listen", f"tls://127.0.0.1:{cls.gate_port}", "--engine",
                  f"unix://{path}/sock", "--state", f"{path}/state", "--cert", f"{path}/cert", "--key", f"{path}/key",
                  "--log-level", "error", stdout=subprocess.DEVNULL, env={**os.environ, "DOCKER_API_TOKEN": TOKEN})
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", cls.gate_port), 1).close()
                break
            except OSError:
                time.sleep(0.1)

    @classmethod
    def spawn(cls, program, *arguments, **more):
        child = subprocess.Popen([os.path.join(RELEASE, program), *arguments], stderr=subprocess.DEVNULL, **more)
        cls.addClassCleanup(cls.end, child)
        return child

    @staticmethod
    def end(child):
        child.terminate()
        child.wait()
        if child.stdout:
            child.stdout.close()

    @unittest.skipUnless(may_be_realtime(), "watching a processor needs real-time priorities")
    def test_what_ran_while_the_processor_stood_still_is_left_out(self):
        core = max(os.sched_getaffinity(0))
        load = subprocess.Popen(["taskset", "-c", str(core), os.path.join(RELEASE, "bench/load"), "ping", "--port",
                                 str(self.gate_port), "--token", TOKEN, "--requests", "1500", "--interval-us", "2000",
                                 "--watch", str(core), "--wait"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, load)
        self.assertEqual(load.stdout.readline(), "ready\n")
        ready = multiprocessing.Event()
        child = multiprocessing.Process(target=hog, args=(core, 0.2, ready))
        child.start()
        ready.wait()
        load.stdin.write("\n")
        load.stdin.close()
        child.join()
        result = json.loads(load.stdout.read())
        self.assertEqual((result["errors"], result["latencies"], result["watched"]), (0, 1500, 1))
        self.assertGreaterEqual(result["left_out"], 90)
        self.assertGreater(result["longest_stall_ms"], 150)
        self.assertGreater(result["stalled_share"], 0.03)
        self.assertGreater(result["all_p99_us"], 100000)
        self.assertLess(result["max_us"], result["longest_stall_ms"] * 1000)

    def test_without_a_watch_nothing_is_left_out(self):
        code, (result,) = self.run_load(self.gate_port, "ping", "--requests", "50")
        self.assertEqual((code, result["latencies"], result["left_out"], result["watched"]), (0, 50, 0, 0))
        self.assertEqual(result["p99_us"], result["all_p99_us"])

    def run_load(self, port, *arguments, token=TOKEN, stdin=""):
        done = subprocess.run([os.path.join(RELEASE, "bench/load"), *arguments, "--port", str(port), "--token", token],
                              input=stdin, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def both(self, *arguments, **more):
        results = []
        for port in (self.engine_port, self.gate_port):
            code, lines = self.run_load(port, *arguments, **more)
            self.assertEqual((code, lines[0]["errors"]), (0, 0), lines)
            results.append(lines)
        return results

    def test_transfers(self):
        for mode in ("up-cl", "up-chunked", "up-go", "down"):
            for lines in self.both(mode, "--bytes", str(1 << 20), "--requests", "4", "--connections", "2"):
                self.assertEqual(lines[0]["bytes"], 4 << 20)

    def test_mixed(self):
        for lines in self.both("mixed", "--bytes", str(1 << 20), "--connections", "8"):
            self.assertEqual(len(lines[0]["transfer_s"]), 8)
            self.assertTrue(all(0 < seconds <= lines[0]["seconds"] for seconds in lines[0]["transfer_s"]))

    def test_requests(self):
        for mode in ("ping", "inspect", "handshake"):
            for lines in self.both(mode, "--requests", "50", "--connections", "5", "--sources", "3"):
                self.assertEqual(lines[0]["requests"], 50)
                self.assertTrue(0 < lines[0]["p50_us"] <= lines[0]["p99_us"] <= lines[0]["max_us"])

    def test_pace(self):
        # 20 requests of 2 clients with one each 20 ms: the last is due after 190 ms, no sooner.
        for lines in self.both("ping", "--requests", "20", "--connections", "2", "--interval-us", "20000"):
            self.assertGreaterEqual(lines[0]["seconds"], 0.19)

    def test_echo(self):
        for lines in self.both("echo", "--requests", "60", "--connections", "20"):
            self.assertEqual(lines[0]["requests"], 60)

    def test_logs(self):
        for lines in self.both("logs", "--connections", "20", "--lines", "5", "--interval-us", "20000"):
            self.assertEqual(lines[0]["lines"], 100)

    def test_idle(self):
        for lines in self.both("idle", "--connections", "30"):
            self.assertEqual(lines[1]["streams_left"], 30)

    def test_a_wrong_status_is_an_error(self):
        code, lines = self.run_load(self.gate_port, "ping", token="wrong")
        self.assertEqual(code, 1)
        self.assertIn("401", lines[0]["error"])

    def test_an_answer_that_is_not_chunked_is_an_error(self):
        code, lines = self.run_load(self.gate_port, "inspect", "--target", "/_ping")
        self.assertEqual(code, 1)
        self.assertIn("not chunked", lines[0]["error"])

    def test_an_answer_of_another_size_is_an_error(self):
        code, lines = self.run_load(self.gate_port, "inspect", "--target", "/containers/x/json?bytes=6143")
        self.assertEqual((code, lines[0]["errors"]), (1, 1))

    def test_a_log_that_is_cut_is_an_error(self):
        child = subprocess.Popen([os.path.join(RELEASE, "bench/engine"), "--tls", str(free_port()), "--cert",
                                  f"{self.directory.name}/cert", "--key", f"{self.directory.name}/key"],
                                 stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), b"ready\n")
        port = child.args[2]
        load = subprocess.Popen([os.path.join(RELEASE, "bench/load"), "logs", "--connections", "3", "--lines", "1000",
                                 "--interval-us", "10000", "--port", port, "--token", TOKEN, "--wait"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(load.stdout.readline(), b"ready\n")
        load.stdin.write(b"go\n")
        load.stdin.flush()
        time.sleep(0.3)
        child.terminate()
        child.wait()
        child.stdout.close()
        result = json.loads(load.communicate()[0])
        self.assertEqual(load.returncode, 1)
        self.assertGreater(result["errors"], 0)

    def test_abuse_ends_when_it_is_told(self):
        started = time.monotonic()
        abuse = subprocess.Popen([os.path.join(RELEASE, "bench/abuse"), "slow-heads", "--port", str(self.gate_port),
                                  "--token", TOKEN, "--seconds", "600", "--connections", "4"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        self.assertEqual(abuse.stdout.readline(), b"ready\n")
        abuse.stdin.write(b"go\n")
        abuse.stdin.flush()
        time.sleep(0.3)
        abuse.terminate()
        result = json.loads(abuse.communicate(timeout=120)[0])
        self.assertEqual((abuse.returncode, result["opened"]), (0, 4))
        self.assertLess(time.monotonic() - started, 120)

    def test_abuse(self):
        for kind in ("slow-heads", "stalled-readers", "tiny-records", "bad-tokens"):
            with self.subTest(kind=kind):
                done = subprocess.run([os.path.join(RELEASE, "bench/abuse"), kind, "--port", str(self.gate_port),
                                       "--token", TOKEN, "--seconds", "1", "--connections", "4"], input="go\n",
                                      capture_output=True, text=True, check=True, timeout=120)
                result = json.loads(done.stdout.splitlines()[1])
                self.assertGreaterEqual(result["opened"], 4)
                # Nothing of what these send may be refused: then they would attack something else than they say.
                if kind == "stalled-readers":
                    self.assertEqual((result["sent"], result["closed"]), (4, 0))
                if kind == "tiny-records":
                    self.assertGreater(result["sent"], 1000)
                    self.assertEqual(result["closed"], 0)
                if kind == "bad-tokens":
                    self.assertGreater(result["refused"], 0)
