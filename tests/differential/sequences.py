"""What takes more than one message: answers that come before their request is over, bodies that break off, and what the next request
finds on the connection to the endpoint. Each sequence returns what is wrong, or nothing."""
import re
import socket
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


class Early:
    """An endpoint that answers as soon as it has a head, whatever the body, and keeps the connection; records each connection."""

    def __init__(self, answer):
        self.answer, self.records, self.lock = answer, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        record, answered = bytearray(), 0
        with self.lock:
            self.records.append(record)
        connection.settimeout(20)
        try:
            while more := connection.recv(65536):
                record += more
                for _ in range(len(re.findall(rb"(?:GET|POST) /\S* HTTP/1\.1\r\n", record)) - answered):
                    answered += 1
                    connection.sendall(self.answer)
        except OSError:
            pass

    def lines(self):
        with self.lock:
            return [re.findall(rb"(?:GET|POST) (/\S*) HTTP/1\.1\r\n", bytes(record)) for record in self.records]


def exchange(port, *pieces, quiet=0.4):
    received = b""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(quiet)
        for piece in pieces:
            try:
                connection.sendall(piece)
                while True:
                    more = connection.recv(65536)
                    if not more:
                        return received, True
                    received += more
            except TimeoutError:
                continue
            except OSError:
                return received, True
    return received, False


def head(*fields):
    return b"POST /first HTTP/1.1\r\nHost: a\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def all_sequences():
    """(name, the endpoint's answer, what one client sends piece by piece)."""
    length, chunked = b"Content-Length: %d" % (len(SMUGGLED) + 10), b"Transfer-Encoding: chunked"
    answers = {"200": OK, "413": b"HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n", "200 and close": OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
               "204": b"HTTP/1.1 204 x\r\n\r\n", "200 chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
               "100 and 200": b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "200 without a length": b"HTTP/1.1 200 OK\r\n\r\nok"}
    for name, answer in answers.items():
        yield f"early {name}, the client goes", answer, (head(length) + b"0123456789",)
        yield f"early {name}, then the rest of the body, a request to look at", answer, (head(length) + b"0123456789", SMUGGLED)
        yield f"early {name}, then the rest and the next request", answer, (head(length) + b"0123456789", SMUGGLED + NEXT)
        yield f"early {name}, chunked, the client goes", answer, (head(chunked) + b"5\r\nabcde\r\n",)
        yield f"early {name}, chunked, then a chunk to look at and the end", answer, (
            head(chunked) + b"5\r\nabcde\r\n", b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n" + NEXT)
        yield f"early {name}, chunked, then no chunk but a request", answer, (head(chunked) + b"5\r\nabcde\r\n", SMUGGLED + NEXT)
        yield f"early {name}, chunked, in the middle of a chunk", answer, (head(chunked) + b"%x\r\nabcde" % (5 + len(SMUGGLED)), SMUGGLED)
        yield f"Expect, {name}, then a request instead of the body", answer, (head(length, b"Expect: 100-continue"), SMUGGLED)
        yield f"Expect, {name}, then the body", answer, (head(length, b"Expect: 100-continue"), b"0123456789" + SMUGGLED, NEXT)


def judge(early, port):
    """After a sequence: another client's request is answered, on a connection where it cannot be taken for a body."""
    received, _ = exchange(port, b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
    lines = early.lines()
    # The endpoint of this file looks for request lines everywhere, in bodies too; a body that it was sent as one is fine, as
    # long as nothing follows it on that connection that Lotse takes for its own.
    for record in early.records:
        bare = bytes(record)
        for other in (b"GET /other", b"GET /next"):
            at = bare.find(other)
            if at > 0 and not whole_before(bare[:at]):
                return f"{other.decode()} was sent behind an unfinished request: {bare[:at][-80:]!r}"
    if not any(b"/other" in one for one in lines) or not received.startswith(b"HTTP/1.1 "):
        return f"the next client's request was lost: {received[:60]!r} {lines}"
    return ""


def whole_before(data):
    """True when `data` is whole requests by the framing that their heads name."""
    while data:
        top, mark, rest = data.partition(b"\r\n\r\n")
        if not mark:
            return False
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", top)
        if re.search(rb"(?i)\r\ntransfer-encoding: chunked", top):
            while True:
                line, mark, rest = rest.partition(b"\r\n")
                if not mark or not re.fullmatch(rb"[0-9a-f]+", line):
                    return False
                size = int(line, 16)
                if size == 0:
                    if not rest.startswith(b"\r\n"):
                        return False
                    rest = rest[2:]
                    break
                rest = rest[size + 2:]
        elif length:
            if len(rest) < int(length[1]):
                return False
            rest = rest[int(length[1]):]
        data = rest
    return True
