"""Ambiguous and hostile answers of an endpoint, and what a client of Lotse must see.

The client asks twice on one connection. `want` is what it gets: "STATUS BODY" of each answer, "cut" after a body whose end must not
look whole. The second answer is "200 second" unless the endpoint's bytes were taken for it.
"""
from dataclasses import dataclass

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


@dataclass
class Answer:
    family: str
    name: str
    data: bytes
    want: str
    method: bytes = b"GET"
    # Goes on after its end. Only what comes before the next request was sent can be told from that one's answer.
    goes_on: bool = False


def ok(*fields, body=b"", line=b"HTTP/1.1 200 OK"):
    return line + b"\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


def show(data):
    return repr(data)[2:-1]


BAD, GOOD = "502; 200 second", "200 abc; 200 second"


def framing():
    family = "answers: framing"
    for value in (b"+3", b"-3", b"0x3", b"3,3", b"3, 4", b"3 3", b"", b"x", b"3;", b"18446744073709551619", b"9223372036854775808", b"\x0b3", b"3\x00", b"3.0"):
        yield Answer(family, f"Content-Length {show(value)}", ok(b"Content-Length: " + value, body=b"abc" + POISON), BAD)
    for first, second in ((b"3", b"3"), (b"3", b"4"), (b"0", b"3")):
        yield Answer(family, f"Content-Length twice {show(first)} {show(second)}", ok(b"Content-Length: " + first, b"Content-Length: " + second, body=b"abc" + POISON), BAD)
    for value in (b"xchunked", b"chunked, identity", b"identity", b"gzip, chunked", b"chunked, chunked", b"", b"chunked\x0b", b"\x0bchunked", b"'chunked'", b"chunked;q=1", b"cow"):
        yield Answer(family, f"Transfer-Encoding {show(value)}", ok(b"Transfer-Encoding: " + value, body=CHUNKS), BAD)
    for name in (b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer-Encoding\x00", b"Transfer Encoding", b"Content-Length ", b" Content-Length"):
        yield Answer(family, f"name {show(name)}", ok(b"X: y", name + b": chunked", body=CHUNKS), BAD)
    yield Answer(family, "both, CL first", ok(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=CHUNKS), BAD)
    yield Answer(family, "both, TE first", ok(b"Transfer-Encoding: chunked", b"Content-Length: 3", body=CHUNKS), BAD)
    yield Answer(family, "Transfer-Encoding twice", ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKS), BAD)
    yield Answer(family, "Transfer-Encoding in HTTP/1.0", ok(b"Transfer-Encoding: chunked", body=CHUNKS, line=b"HTTP/1.0 200 OK"), BAD)
    yield Answer(family, "Content-Length 03", ok(b"Content-Length: 03", body=b"abc"), GOOD)
    yield Answer(family, "chunked", ok(b"Transfer-Encoding: chunked", body=CHUNKS), GOOD)
    yield Answer(family, "Chunked", ok(b"Transfer-Encoding: Chunked", body=CHUNKS), GOOD)
    yield Answer(family, "neither: to the end of the connection", ok(body=b"abc"), "200 abc; 200 second")
    yield Answer(family, "one more answer behind it", ok(b"Content-Length: 3", body=b"abc" + POISON), GOOD, goes_on=True)
    yield Answer(family, "one more answer behind chunks", ok(b"Transfer-Encoding: chunked", body=CHUNKS + POISON), GOOD, goes_on=True)
    yield Answer(family, "one byte behind it", ok(b"Content-Length: 3", body=b"abcd"), GOOD, goes_on=True)
    yield Answer(family, "one byte short", ok(b"Content-Length: 4", body=b"abc"), "200 abc cut")
    yield Answer(family, "a body for Content-Length: 0", ok(b"Content-Length: 0", body=b"abc"), "200 ; 200 second", goes_on=True)


def chunks():
    family = "answers: chunks"
    for body in (b"+3\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n", b"g\r\nabc\r\n0\r\n\r\n", b"\r\nabc\r\n0\r\n\r\n",
                 b"3\nabc\r\n0\r\n\r\n", b"10000000000000003\r\nabc\r\n0\r\n\r\n", b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"):
        yield Answer(family, show(body), ok(b"Transfer-Encoding: chunked", body=body + POISON), "200  cut")
    for body in (b"3\r\nabc\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nabc\r\n0\n\r\n", b"3\r\nabc\r\n0\r\nX : y\r\n\r\n", b"3\r\nabc\r\n0\r\n", b"3\r\nabc\r\n0\r\n y\r\n\r\n",
                 b"3\r\nabc\r\n\r\n0\r\n\r\n", b"3\r\nabc\r\n1\r\nd"):
        yield Answer(family, show(body), ok(b"Transfer-Encoding: chunked", body=body), "200 abc* cut")
    yield Answer(family, "an extension", ok(b"Transfer-Encoding: chunked", body=b"3;x=y\r\nabc\r\n0\r\n\r\n"), GOOD)
    yield Answer(family, "trailers that frame", ok(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\nContent-Length: 9\r\nSet-Cookie: x\r\n\r\n"), GOOD)


def heads():
    family = "answers: heads"
    for line in (b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 Very fine: yes", b"HTTP/1.1 200 \xff", b"HTTP/1.0 200 OK"):
        yield Answer(family, show(line), ok(b"Content-Length: 3", body=b"abc", line=line), GOOD)
    for line in (b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 000 OK", b"HTTP/1.1 200OK", b"http/1.1 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.1\t200 OK",
                 b" HTTP/1.1 200 OK", b"200 OK", b"ICY 200 OK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1", b"", b"\r\nHTTP/1.1 200 OK", b"GET / HTTP/1.1", b"HTTP/1.1 0x0 OK", b"HTTP/1.1 200 OK\nX: y"):
        yield Answer(family, show(line), ok(b"Content-Length: 3", body=b"abc", line=line), BAD)
    for field in (b"X: a\rb", b"X: a\nb", b"X: a\x00b", b"X: a\x7fb", b"X: a\x1bb", b"X : y", b"X", b": y", b" X: y", b"X: y\r\n z", b"X\x00: y", b"X Y: z", b"X\r: y", b"X(: y", b"X\x80: y", b"X: a\r\r", b"Set-Cookie: x\nSet-Cookie: y"):
        yield Answer(family, f"field {show(field)}", ok(field, b"Content-Length: 3", body=b"abc"), BAD)
    for field in (b"X:", b"X:y", b"X: \xff", b"X_Y: z", b"Connection: x-y", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Trailer: X", b"Upgrade: h2c", b"Alt-Svc: h2=\":1\""):
        yield Answer(family, f"field {show(field)}", ok(field, b"Content-Length: 3", body=b"abc"), GOOD)
    yield Answer(family, "bare LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", BAD)
    yield Answer(family, "bare LF at the end of the head", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nabc", BAD)
    yield Answer(family, "HTTP/0.9", b"abc", BAD)
    yield Answer(family, "nothing, and then to the one replay a good one", b"", "200 second; 200 second")
    yield Answer(family, "half a head", b"HTTP/1.1 200 OK\r\nContent-", "502; 200 second")
    yield Answer(family, "101 fields", ok(*[b"X%d: y" % i for i in range(100)], b"Content-Length: 3", body=b"abc"), BAD)
    yield Answer(family, "a head of 40000", ok(b"X: " + b"y" * 40000, b"Content-Length: 3", body=b"abc"), BAD)


def statuses():
    family = "answers: statuses"
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    for count in (1, 16):
        yield Answer(family, f"{count} interim answers", interim * count + ok(b"Content-Length: 3", body=b"abc"), GOOD)
    yield Answer(family, "17 interim answers", interim * 17 + ok(b"Content-Length: 3", body=b"abc"), "502; 200 second")
    yield Answer(family, "100 that nobody asked for", b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"Content-Length: 3", body=b"abc"), GOOD)
    yield Answer(family, "100 with a body", b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc" + ok(b"Content-Length: 3", body=b"abc"), "502; 200 second")
    yield Answer(family, "103 with Transfer-Encoding", b"HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, "502; 200 second")
    yield Answer(family, "101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + POISON, "502; 200 second")
    yield Answer(family, "204", b"HTTP/1.1 204 No Content\r\n\r\n", "204 ; 200 second")
    yield Answer(family, "204 and a body", b"HTTP/1.1 204 No Content\r\n\r\nabc", "204 ; 200 second", goes_on=True)
    yield Answer(family, "204 with Content-Length: 3", b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", BAD)
    yield Answer(family, "204 chunked", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, BAD)
    yield Answer(family, "304 with a body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n" % len(POISON) + POISON, "304 ; 200 second", goes_on=True)
    yield Answer(family, "304 chunked", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + POISON, "304 ; 200 second", goes_on=True)
    yield Answer(family, "HEAD with a body", ok(b"Content-Length: %d" % len(POISON), body=POISON), "200 ; 200 second", b"HEAD", goes_on=True)
    yield Answer(family, "HEAD chunked, with a body", ok(b"Transfer-Encoding: chunked", body=CHUNKS + POISON), "200 ; 200 second", b"HEAD", goes_on=True)
    yield Answer(family, "HEAD and no body", ok(b"Content-Length: 3"), "200 ; 200 second", b"HEAD")
    yield Answer(family, "205 with a body", ok(b"Content-Length: 3", body=b"abc", line=b"HTTP/1.1 205 Reset"), "205 abc; 200 second")
    for status in (b"299", b"599", b"600", b"999"):
        yield Answer(family, status.decode(), ok(b"Content-Length: 3", body=b"abc", line=b"HTTP/1.1 " + status + b" x"), f"{status.decode()} abc; 200 second")


def all_answers():
    for family in (framing, chunks, heads, statuses):
        yield from family()
