#!/usr/bin/env python3
"""Sends ambiguous and hostile HTTP/1.1, as requests and as answers, through Lotse and, where they are installed, nginx and HAProxy,
and compares what each sends to the endpoint and answers.

  compare.py LOTSE              checks Lotse against the cases; fails where it differs
  compare.py LOTSE --pieces     the same, with every message a few bytes at a time
  compare.py LOTSE --peers      and prints a table of where the three differ
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # the tree is not ours to write to
import request_cases
import response_cases
import sequences

QUIET, WAIT = 0.25, 5.0


def read_message(data, is_request, method=b"GET"):
    """The first message of `data` as a lenient program reads it: (message or None, rest). Frames by the fields that are there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None, data
    head, rest = data[:end], data[end + 4:]
    status = re.match(rb"HTTP/\d\.\d (\d\d\d)", head)
    if not is_request and status and (status[1][:1] == b"1" or status[1] in (b"204", b"304") or method == b"HEAD"):
        return (head, b""), rest
    length = re.search(rb"(?im)^content-length: *(\d+)\r?$", head)
    if re.search(rb"(?im)^transfer-encoding: *chunked\r?$", head):
        body = b""
        while True:
            line, mark, after = rest.partition(b"\r\n")
            size = re.match(rb"[0-9a-fA-F]+", line)
            if not mark or not size:
                return None, data
            count = int(size[0], 16)
            if count == 0:
                end = after.find(b"\r\n") if after.startswith(b"\r\n") else after.find(b"\r\n\r\n") + 2
                return (None, data) if end < 0 or len(after) < end + 2 else ((head, body), after[end + 2:])
            if len(after) < count + 2:
                return None, data
            body, rest = body + after[:count], after[count + 2:]
    if length:
        count = int(length[1])
        return (None, data) if len(rest) < count else ((head, rest[:count]), rest[count:])
    return ((head, b""), rest) if is_request else (None, data)


def send(connection, data):
    connection.sendall(data)


def send_in_pieces(connection, data):
    # One byte, then two, then three: each case is cut at other places, and every packet is one of its own.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    at, size = 0, 1
    while at < len(data):
        connection.sendall(data[at:at + size])
        time.sleep(0.0005)
        at, size = at + size, size % 3 + 1 if at < 400 else 4096


class Endpoint:
    """Plays the endpoint of one proxy. Requests carry their case in a path or, for those that cannot, there is one case at a time."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.lock, self.received, self.script = threading.Lock(), [], None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        record = bytearray()
        with self.lock:
            self.received.append(record)
        data = b""
        connection.settimeout(30)
        try:
            while True:
                more = connection.recv(65536)
                if not more:
                    return
                record += more
                data += more
                while True:
                    message, data = read_message(data, True)
                    if message is None:
                        break
                    if not self.answer(connection, message):
                        return
        except OSError:
            pass
        finally:
            connection.close()

    def answer(self, connection, message):
        with self.lock:
            script, self.script = self.script, None
        if script is None or b"/second" in message[0].split(b"\r\n")[0]:
            with self.lock:
                self.script = script if script is not None else self.script
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
            return True
        send(connection, script)
        time.sleep(0.05)
        return False

    def take(self):
        with self.lock:
            taken = [bytes(one) for one in self.received if one]
            for one in self.received:  # a connection that is kept goes on in its record
                one.clear()
        return taken


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Proxy:
    def __init__(self, name, folder, lotse, endpoint=None):
        self.name, self.endpoint = name, endpoint or Endpoint()
        # Lotse draws its port itself and says it. The peers cannot: theirs may be another program's by the time they bind it.
        self.port = 0 if name == "lotse" else free_port()
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(getattr(self, name)(lotse), stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self.accepts():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{name} does not start")
            time.sleep(0.02)

    def accepts(self):
        if self.port == 0:
            with open(self.log) as log:
                said = re.search(r"listening on 127\.0\.0\.1:(\d+)\n", log.read())
            if not said:
                return False
            self.port = int(said[1])
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def write(self, text):
        path = os.path.join(self.folder, "config")
        with open(path, "w") as file:
            file.write(text)
        return path

    def lotse(self, program):
        path = self.write(f"""version: 1
workers: 1
admin: {{address: "127.0.0.1:0"}}
listeners: [{{name: web, address: "127.0.0.1:{self.port}"}}]
routes: [{{match: {{path: /}}, to: /app}}]
apps: {{/app: {{outlier_detection: {{consecutive_5xx: 0, consecutive_gateway_failures: 0}}}}}}
discovery: {{sources: [{{static: {{/app: ["127.0.0.1:{self.endpoint.port}"]}}}}]}}
""")
        return [program, "proxy", "--config", path, "--data", os.path.join(self.folder, "data")]

    def nginx(self, _):
        path = self.write(f"""daemon off; master_process off; pid {self.folder}/pid; error_log /dev/null;
events {{ }}
http {{ access_log off; underscores_in_headers off; client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p;
  fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  upstream up {{ server 127.0.0.1:{self.endpoint.port} max_fails=0; keepalive 16; }}
  server {{ listen 127.0.0.1:{self.port}; location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Host $http_host; proxy_request_buffering off; proxy_next_upstream off; }} }} }}
""")
        return ["/usr/sbin/nginx", "-c", path, "-e", "/dev/null"]

    def haproxy(self, _):
        path = self.write(f"""defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  retries 0
frontend web
  bind 127.0.0.1:{self.port}
  default_backend app
backend app
  http-reuse always
  server one 127.0.0.1:{self.endpoint.port}
""")
        return ["/usr/sbin/haproxy", "-db", "-f", path]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def talk(self, data, quiet=QUIET):
        """All that comes back, and whether the connection was closed."""
        received = b""
        try:
            with socket.create_connection(("127.0.0.1", self.port), WAIT) as connection:
                connection.settimeout(quiet)
                try:
                    send(connection, data)
                except OSError:
                    pass
                while True:
                    more = connection.recv(65536)
                    if not more:
                        return received, True
                    received += more
        except TimeoutError:
            return received, False
        except OSError:
            return received, True


def status_of(head):
    status = re.match(rb"HTTP/1\.[01] (\d\d\d)", head)
    return status[1].decode() if status else repr(head[:20])[2:-1]


def statuses_of(data):
    found = []
    while data:
        message, rest = read_message(data, False)
        if message is None:
            break
        found.append(status_of(message[0]))
        data = rest
    return " ".join(found) or "-"


def first_lines(records):
    """The request lines and framing that a lenient endpoint sees."""
    seen = []
    for record in records:
        while record:
            message, rest = read_message(record, True)
            if message is None:
                seen.append("(" + repr(record.split(b"\r\n")[0][:60])[2:-1] + "...)")
                break
            seen.append(repr(message[0].split(b"\r\n")[0][:60])[2:-1])
            record = rest
    return seen


def run_request(proxy, case):
    # Answers to HEAD have no body: the reader is told by leaving it out of what is looked at.
    received, is_closed = proxy.talk(case.data)
    if case.data.startswith(b"HEAD"):
        received = re.sub(rb"(?i)content-length: 6\r\n", b"", received, count=1)
        parts = received.split(b"\r\n\r\n", 1)
        answer = "200 " + statuses_of(parts[1]) if len(parts) > 1 and received.startswith(b"HTTP/1.1 200") else statuses_of(received)
    else:
        answer = statuses_of(received)
    records = proxy.endpoint.take()
    return answer, first_lines(records), records


def run_answer(proxy, case):
    proxy.endpoint.script = case.data
    results = []
    try:
        connection = socket.create_connection(("127.0.0.1", proxy.port), WAIT)
    except OSError:
        return "refused"
    with connection:
        received, is_open = b"", True
        for path, method in ((b"/first", case.method), (b"/second", b"GET")):
            if not is_open:
                connection.close()
                connection = socket.create_connection(("127.0.0.1", proxy.port), WAIT)
                received = b""
            connection.settimeout(2)
            message, is_open = None, True
            try:
                connection.sendall(method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                while True:
                    message, rest = read_message(received, False, method)
                    if message and re.match(rb"HTTP/1\.1 1\d\d", message[0]):
                        received, message = rest, None
                        continue
                    if message:
                        break
                    more = connection.recv(65536)
                    if not more:
                        is_open = False
                        break
                    received += more
            except OSError:
                is_open = False
            if message is None:
                head, _, body = received.partition(b"\r\n\r\n")
                status = re.match(rb"HTTP/1\.[01] (\d\d\d)", head)
                framed = re.search(rb"(?i)\r\n(content-length|transfer-encoding):", head)
                if not status:
                    results.append("nothing")
                elif framed:
                    results.append(f"{status[1].decode()} {payload(head, body)} cut")
                    return "; ".join(results)
                else:
                    results.append(f"{status[1].decode()} {body.decode('latin1')}")
                continue
            received = rest
            status = status_of(message[0])
            results.append(status if status in ("502", "503") else f"{status} {message[1].decode('latin1')}")
            if re.search(rb"(?i)\r\nconnection: close", message[0]):
                is_open = False
    proxy.endpoint.take()
    proxy.endpoint.script = None
    return "; ".join(results)


def payload(head, body):
    if re.search(rb"(?i)\r\ntransfer-encoding:", head):
        whole = b""
        while True:
            line, mark, body = body.partition(b"\r\n")
            if not mark or not re.fullmatch(rb"[0-9a-f]+", line):
                return whole.decode("latin1")
            whole, body = whole + body[:int(line, 16)], body[int(line, 16) + 2:]
    return body.decode("latin1")


def fits(want, got):
    return re.fullmatch(re.escape(want).replace(r"\*", ".*"), got) is not None


FIELD = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+: ?[^\x00-\x08\x0a-\x1f\x7f]*")
TARGET = re.compile(rb"[A-Z-]+ (/[!-\"$-~]*|\*) HTTP/1\.1")


def unclear(records):
    """What of the bytes that an endpoint got could be read in two ways."""
    for record in records:
        while record:
            message, rest = read_message(record, True)
            head = message[0] if message else record.partition(b"\r\n\r\n")[0]
            line, *fields = head.split(b"\r\n")
            names = [field.partition(b":")[0].lower() for field in fields]
            framing = names.count(b"content-length") + names.count(b"transfer-encoding")
            odd = [field for field in fields if not FIELD.fullmatch(field) or field[-1:] in b" \t" and field[-2:] != b": "]
            if not TARGET.fullmatch(line) or odd or names.count(b"host") != 1 or framing > 1:
                return repr(head[:200])
            if any(name in (b"te", b"trailer", b"keep-alive", b"proxy-connection", b"proxy", b"http2-settings", b"proxy-authorization") or
                   b"_" in name for name in names):
                return "hop-by-hop: " + repr(head[:200])
            record = rest if message else b""
    return ""


def judge_request(case, got, upstream, records):
    """Why Lotse is wrong, or nothing."""
    whole = [line for line in upstream if not line.startswith("(")]
    if not fits(case.want, got):
        return f"answers {got}, not {case.want}"
    if any("/smuggled" in line for line in whole) and not case.smuggled_is_fine:
        return "smuggled"
    served = sum(status == "200" for status in got.split())
    if len(whole) != served:
        return f"answers {got}, but the endpoint saw {upstream}"
    if odd := unclear(records):
        return "sends on what is unclear: " + odd
    return ""


def shards(cases, count):
    return [cases[i::count] for i in range(count)]


def run_all(name, folder, lotse, requests, answers, count):
    """Several processes of one proxy side by side: each has one case at a time, so that what its endpoint sees is that case's."""
    def run(index, some_requests, some_answers):
        os.makedirs(os.path.join(folder, str(index)), exist_ok=True)
        proxy = Proxy(name, os.path.join(folder, str(index)), lotse)
        proxy.endpoint.take()
        try:
            results = {(c.family, c.name): run_request(proxy, c) for c in some_requests}
            results.update({(c.family, c.name): run_answer(proxy, c) for c in some_answers})
            return results
        finally:
            proxy.stop()

    results = {}
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for one in pool.map(run, range(count), shards(requests, count), shards(answers, count)):
            results.update(one)
    return results


def run_sequences(folder, lotse, some):
    def run(numbered):
        index, (_, answer, pieces) = numbered
        place = os.path.join(folder, f"sequence{index}")
        os.mkdir(place)
        early = sequences.Early(answer)
        proxy = Proxy("lotse", place, lotse, early)
        try:
            sequences.exchange(proxy.port, *pieces)
            return sequences.judge(early, proxy.port)
        finally:
            proxy.stop()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(run, enumerate(some)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lotse")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--pieces", action="store_true", help="every message a few bytes at a time")
    parser.add_argument("--only", default="", help="cases whose family or name has this")
    options = parser.parse_args()
    if options.pieces:
        global send
        send = send_in_pieces
    requests = [c for c in request_cases.all_cases() if options.only in c.family + ": " + c.name]
    answers = [c for c in response_cases.all_answers() if options.only in c.family + ": " + c.name]
    if options.pieces:
        answers = [c for c in answers if not c.goes_on]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        lotse = run_all("lotse", folder, options.lotse, requests, answers, 8)
        for case in requests:
            got, upstream, records = lotse[case.family, case.name]
            if why := judge_request(case, got, upstream, records):
                wrong += 1
                print(f"WRONG {case.family}: {case.name}: {why}")
        for case in answers:
            got = lotse[case.family, case.name]
            if not fits(case.want, got):
                wrong += 1
                print(f"WRONG {case.family}: {case.name}: {got!r}, not {case.want!r}")
        some = [one for one in sequences.all_sequences() if options.only in one[0]]
        for (name, _, _), why in zip(some, run_sequences(folder, options.lotse, some)):
            if why:
                wrong += 1
                print(f"WRONG sequence: {name}: {why}")
        print(f"{len(requests)} requests, {len(answers)} answers, {len(some)} sequences: {wrong} wrong")
        if options.peers:
            peers = {name: run_all(name, folder, "", requests, answers, 8) for name in ("nginx", "haproxy") if shutil.which(name)}
            print_table(requests, answers, lotse, peers)
    return 1 if wrong else 0


def print_table(requests, answers, lotse, peers):
    def text(result):
        return result if isinstance(result, str) else result[0] + (" | " + ", ".join(result[1]) if result[1] else "")
    for case in requests + answers:
        key = (case.family, case.name)
        row = {"lotse": text(lotse[key]), **{name: text(results[key]) for name, results in peers.items()}}
        if len(set(row.values())) > 1:
            print(f"{case.family}: {case.name}\n    " + "\n    ".join(f"{name:8} {value}" for name, value in row.items()))


if __name__ == "__main__":
    sys.exit(main())
