"""Ambiguous and hostile HTTP/1.1 requests: what is sent, and what Lotse must answer.

`want` is the statuses of the answers in order ("400", "200 200"); "-" is no answer within the wait (the request is not over
yet, or the connection was closed without one).
"""
from dataclasses import dataclass

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


@dataclass
class Case:
    family: str
    name: str
    data: bytes
    want: str
    smuggled_is_fine: bool = False  # the second request is one for everybody


def request(line=b"GET / HTTP/1.1", fields=(b"Host: a",), body=b"", end=b"\r\n"):
    return line + b"\r\n" + b"".join(f + b"\r\n" for f in fields) + end + body


def post(*fields, body=b"", target=b"/"):
    return request(b"POST " + target + b" HTTP/1.1", (b"Host: a",) + fields, body)


def show(data):
    return repr(data)[2:-1]


def lengths():
    family = "Content-Length"
    for value in (b"+3", b"-3", b"0x3", b"3 3", b"3,3", b"3, 3", b"3;3", b"3.0", b"3e0", b"", b"three", b"\x0b3", b"3\x0c", b"\xef\xbc\x93",
                  b"9223372036854775808", b"18446744073709551616", b"18446744073709551619", b"99999999999999999999999999", b"'3'",
                  b'"3"', b"3\x00", b"0b11", b"1_0", b"3h", b"(3)", b"\xa03", b"--3", b"+-3", b"3+", b"0,3"):
        yield Case(family, f"value {show(value)}", post(b"Content-Length: " + value, body=b"abc" + NEXT), "400")
    for value in (b" 3", b"\t3", b"3 ", b"3\t \t", b"03", b"0000000000000000000000000000003"):
        yield Case(family, f"value {show(value)}", post(b"Content-Length:" + value, body=b"abc" + NEXT), "200 200")
    for first, second in ((b"3", b"3"), (b"3", b"4"), (b"0", b"3"), (b"3", b""), (b"", b"3"), (b"3", b"03")):
        yield Case(family, f"twice {show(first)} {show(second)}",
                   post(b"Content-Length: " + first, b"Content-Length: " + second, body=b"abc" + NEXT), "400")
    for name in (b"Content-Length ", b"Content-Length\t", b" Content-Length", b"Content_Length", b"Content-Length:", b"Content Length",
                 b"\xffContent-Length", b"Content-Length\x00", b"Content-Len\x00gth", b"Content-Length\x0b", b"\x0bContent-Length"):
        want = "200 405" if name == b"Content_Length" else "400"
        if name == b"Content_Length":  # not this field: no body, and "abcGET" is no method
            want = "200 501"
        yield Case(family, f"name {show(name)}", post(name + b": 3", body=b"abc" + NEXT), want)
    yield Case(family, "Content-Length: : 3", post(b"Content-Length: : 3", body=b"abc" + NEXT), "400")
    yield Case(family, "mixed case", post(b"cOnTeNt-LeNgTh: 3", body=b"abc" + NEXT), "200 200")
    yield Case(family, "named by Connection", post(b"Connection: content-length", b"Content-Length: 3", body=b"abc" + NEXT), "200 200")
    yield Case(family, "0 and a body that is a request (CL.0)", post(b"Content-Length: 0", body=SMUGGLED), "200 200", True)
    yield Case(family, "none and a body that is a request", post(body=SMUGGLED), "200 200", True)
    yield Case(family, "a body that is a request", post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED + NEXT), "200 200")
    yield Case(family, "GET with a body that is a request (0.CL)",
               request(fields=(b"Host: a", b"Content-Length: %d" % len(SMUGGLED)), body=SMUGGLED + NEXT), "200 200")
    yield Case(family, "HEAD with a body that is a request",
               request(b"HEAD / HTTP/1.1", (b"Host: a", b"Content-Length: %d" % len(SMUGGLED)), SMUGGLED + NEXT), "200 200")
    yield Case(family, "one byte short", post(b"Content-Length: 4", body=b"abc"), "-")
    yield Case(family, "obs-fold before the digits", post(b"Content-Length:\r\n 3", body=b"abc"), "400")
    yield Case(family, "obs-fold after a digit", post(b"Content-Length: 1\r\n 3", body=b"abc" + NEXT), "400")


def transfer_encodings():
    family = "Transfer-Encoding"
    values = (b"xchunked", b"chunkedx", b"chunked, chunked", b"chunked,", b",chunked", b"chunked, identity", b"identity, chunked",
              b"identity", b"gzip, chunked", b"chunked, gzip", b"gzip", b"chunked;q=1", b"chunked; foo", b'"chunked"', b"'chunked'",
              b"chunk", b"", b"\x00chunked", b"chunked\x00", b"chunked\x0b", b"\x0bchunked", b"\x0cchunked", b"chunked\x0c", b"chun\x00ked",
              b"chun ked", b"chunked chunked", b"chunked\xa0", b"\xa0chunked", b"chun\xe2\x84\xaaed", b"c\xc2\xadhunked", b"cow",
              b"chunked, cow", b"cow, chunked", b"chunked\x7f", b"(x) chunked", b"chunked (x)", b"=chunked", b"chunked=",
              b"deflate, gzip, chunked", b"x-chunked", b"trailers", b"chunked\xff", b"0", b"chunked/1", b"\\chunked", b"chunked\\")
    for value in values:
        yield Case(family, f"value {show(value)}", post(b"Transfer-Encoding: " + value, body=CHUNKS + NEXT), "400")
        yield Case(family + " with Content-Length", f"value {show(value)}",
                   post(b"Transfer-Encoding: " + value, b"Content-Length: %d" % (len(CHUNKS)), body=CHUNKS + SMUGGLED), "400")
    for value in (b"chunked", b"\tchunked", b"Chunked", b"CHUNKED", b"chunked  "):
        yield Case(family, f"value {show(value)}", post(b"Transfer-Encoding: " + value, body=CHUNKS + NEXT), "200 200")
    for name in (b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding", b"\tTransfer-Encoding", b"Transfer Encoding",
                 b"Transfer-Encoding\x00", b"Transfer-\x00Encoding", b"Transfer-Encoding\x0b", b"\xefTransfer-Encoding", b"Transfer-Encoding\r",
                 b"Transfer-Encoding\n", b"Transfer-Encoding\x7f", b"(Transfer-Encoding", b"Transfer-Encoding,", b"Transfer-Encoding\xa0",
                 b"\"Transfer-Encoding\"", b"Transfer-Encoding/", b"Transfer-Encoding;", b"Transfer-Encoding="):
        yield Case(family, f"name {show(name)}",
                   post(b"Content-Length: 5", name + b": chunked", body=b"0\r\n\r\n" + SMUGGLED), "400")
    yield Case(family, "name Transfer_Encoding", post(b"Content-Length: 5", b"Transfer_Encoding: chunked", body=b"0\r\n\r\n" + NEXT), "200 200")
    yield Case(family, "name X-Transfer-Encoding", post(b"Content-Length: 5", b"X-Transfer-Encoding: chunked", body=b"0\r\n\r\n" + NEXT), "200 200")
    yield Case(family, "value \\x20chunked without a space after a colon of its own", post(b"Transfer-Encoding:: chunked", body=CHUNKS), "400")
    for first, second in ((b"chunked", b"chunked"), (b"chunked", b"identity"), (b"identity", b"chunked"), (b"chunked", b"cow"), (b"cow", b"chunked"),
                          (b"chunked", b""), (b"", b"chunked"), (b"gzip", b"chunked")):
        yield Case(family, f"twice {show(first)} {show(second)}",
                   post(b"Transfer-Encoding: " + first, b"Transfer-Encoding: " + second, body=CHUNKS + SMUGGLED), "400")
    for tail in (b"", SMUGGLED):
        yield Case(family + " with Content-Length", f"CL.TE, {len(tail)} bytes more",
                   post(b"Content-Length: %d" % (5 + len(tail)), b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + tail), "400")
        yield Case(family + " with Content-Length", f"TE.CL, {len(tail)} bytes more",
                   post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n" + tail), "400")
    yield Case(family, "folded", post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS), "400")
    yield Case(family, "folded after", post(b"Transfer-Encoding: chunked\r\n ", body=CHUNKS), "400")
    yield Case(family, "folded within", post(b"Transfer-Encoding: chun\r\n ked", body=CHUNKS), "400")
    yield Case(family, "behind a bare LF in a value", post(b"X: y\nTransfer-Encoding: chunked", body=CHUNKS), "400")
    yield Case(family, "behind a bare CR in a value", post(b"X: y\rTransfer-Encoding: chunked", body=CHUNKS), "400")
    yield Case(family, "behind an empty name", post(b": y", b"Transfer-Encoding: chunked", body=CHUNKS), "400")
    yield Case(family, "in HTTP/1.0", request(b"POST / HTTP/1.0", (b"Host: a", b"Transfer-Encoding: chunked"), CHUNKS), "400")
    yield Case(family, "in HTTP/1.0, kept alive",
               request(b"POST / HTTP/1.0", (b"Host: a", b"Connection: keep-alive", b"Transfer-Encoding: chunked"), CHUNKS + SMUGGLED), "400")
    yield Case(family, "with GET", request(fields=(b"Host: a", b"Transfer-Encoding: chunked"), body=CHUNKS + NEXT), "200 200")
    yield Case(family, "named by Connection", post(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked", body=CHUNKS + NEXT), "200 200")
    yield Case(family, "TE: chunked without a body", request(fields=(b"Host: a", b"TE: chunked")), "200")


def chunks():
    family = "chunks"

    def chunked(body, want, name):
        return Case(family, name, post(b"Transfer-Encoding: chunked", body=body), want)

    for size in (b"+3", b"-3", b"0x3", b"3 ", b" 3", b"\t3", b"3\t", b"g", b"", b"3.", b"3,", b"3h", b"\x003", b"3\x00", b"0x", b"x3", b"3\x0b", b"\xef\xbc\x93",
                 b"10000000000000003", b"ffffffffffffffff", b"8000000000000000", b"fffffffffffffffffffffff3", b"00000000000000003", b"3_", b"3 3", b"3;", b"3;x=\"y", b"3; x", b"3;;", b"3;\xff", b"3;\t",
                 b"3 ;x", b"3\t;x", b"3;x\ny", b"3;x\ry", b"3;\x00", b"3;\x7f", b"3\r", b"3;x\r\r", b"--3", b"3-", b"#3", b"(3)"):
        yield chunked(size + b"\r\nabc\r\n0\r\n\r\n" + SMUGGLED, "400", f"size {show(size)}")
    yield chunked(b"1e0\r\nabc\r\n0\r\n\r\n", "-", "size 1e0")
    for size in (b"3", b"03", b"0000000000000003", b"3;x", b"3;x=y", b"3;x=\"y;z\""):
        yield chunked(size + b"\r\nabc\r\n0\r\n\r\n" + NEXT, "200 200", f"size {show(size)}")
    yield chunked(b"3\nabc\r\n0\r\n\r\n" + NEXT, "400", "LF after the size")
    yield chunked(b"3;x\nabc\r\n0\r\n\r\n" + SMUGGLED, "400", "LF after an extension (EXT.TERM)")
    yield chunked(b"3\r\nabc\n0\r\n\r\n" + NEXT, "400", "LF after the data")
    yield chunked(b"3\r\nabc\r0\r\n\r\n" + NEXT, "400", "CR after the data")
    yield chunked(b"3\rabc\r\n0\r\n\r\n" + NEXT, "400", "CR after the size")
    yield chunked(b"3\r\nabc0\r\n\r\n" + NEXT, "400", "nothing after the data")
    yield chunked(b"3\r\nabcd\r\n0\r\n\r\n" + NEXT, "400", "one byte too many")
    yield chunked(b"3\r\nab\r\n0\r\n\r\n" + NEXT, "400", "one byte too few")
    yield chunked(b"3\r\nabc\r\n0\n\r\n" + NEXT, "400", "LF after the last size")
    yield chunked(b"3\r\nabc\r\n0\r\n\n" + NEXT, "400", "LF at the end")
    yield chunked(b"3\r\nabc\r\n0\n\n" + NEXT, "400", "LF LF at the end")
    yield chunked(b"3\r\nabc\r\n0\r\n\r" + NEXT, "400", "CR at the end")
    yield chunked(b"3\r\nabc\r\n0\r\rX\r\n\r\n" + NEXT, "400", "CR CR after the last size")
    yield chunked(b"3\r\nabc\r\n\r\n0\r\n\r\n" + NEXT, "400", "an empty line between chunks")
    yield chunked(b"\r\n3\r\nabc\r\n0\r\n\r\n" + NEXT, "400", "an empty line before the first chunk")
    yield chunked(b"3\r\nabc\r\n00000\r\n\r\n" + NEXT, "200 200", "a last size of zeros")
    yield chunked(b"3\r\nabc\r\n0;x=y\r\n\r\n" + NEXT, "200 200", "an extension at the last size")
    yield chunked(b"3\r\nabc\r\n0\r\n", "-", "no end")
    yield chunked(b"2;\n\nxx\r\n3d\r\nabc\r\n0\r\n\r\n" + SMUGGLED, "400", "spill: LF in an extension (TERM.EXT)")
    yield chunked(b"5\r\nAAAAAXX2\r\n45\r\n0\r\n\r\n" + SMUGGLED, "400", "spill: two bytes that are not CR LF (TERM.SPILL)")
    yield chunked(b"5\r\nAAAAA\n2\r\n45\r\n0\r\n\r\n" + SMUGGLED, "400", "spill: LF.CRLF")
    yield chunked(b"5\r\nAAAAA\r\r2\r\n45\r\n0\r\n\r\n" + SMUGGLED, "400", "spill: CR CR")
    yield chunked(b"3;" + b"x" * 4000 + b"\r\nabc\r\n0\r\n\r\n" + NEXT, "200 200", "an extension below the bound")
    yield chunked(b"3;" + b"x" * 4200 + b"\r\nabc\r\n0\r\n\r\n" + NEXT, "400", "an extension above the bound")
    yield chunked((b"1;" + b"x" * 1000 + b"\r\na\r\n") * 20 + b"0\r\n\r\n" + NEXT, "400", "extensions above the bound of a body")
    yield chunked(b"1\r\na\r\n" * 500 + b"0\r\n\r\n" + NEXT, "200 200", "500 chunks of one byte")
    family = "trailers"
    for trailer in (b"X: y", b"X:", b"Content-Length: 100", b"Host: evil", b"X: y\r\nX: z"):
        yield Case(family, show(trailer), post(b"Transfer-Encoding: chunked", body=b"0\r\n" + trailer + b"\r\n\r\n" + NEXT), "200 200")
    for trailer in (b"X : y", b" X: y", b"X: y\r\n z", b"X", b": y", b"X: \x00", b"X: a\rb", b"X: a\nb", b"X: a\n", b"X\x00: y", b"X: y\r", b"GET / HTTP/1.1",
                    b"X: \x7f", b"Transfer-Encoding: chunked", b"Content-Length: x"):
        yield Case(family, show(trailer), post(b"Transfer-Encoding: chunked", body=b"0\r\n" + trailer + b"\r\n\r\n" + NEXT), "400")
    yield Case(family, "8 KiB and more", post(b"Transfer-Encoding: chunked", body=b"0\r\nX: " + b"y" * 8300 + b"\r\n\r\n" + NEXT), "431")


def control_bytes():
    family = "control bytes"
    for byte in (b"\x00", b"\x01", b"\x07", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x1f", b"\x7f", b"\r", b"\n"):
        yield Case(family, f"{show(byte)} in a value", request(fields=(b"Host: a", b"X: y" + byte + b"z")), "400")
        yield Case(family, f"{show(byte)} at the end of a value", request(fields=(b"Host: a", b"X: y" + byte)), "400")
        yield Case(family, f"{show(byte)} before a value", request(fields=(b"Host: a", b"X:" + byte + b"y")), "400")
        yield Case(family, f"{show(byte)} in a name", request(fields=(b"Host: a", b"X" + byte + b"Y: z")), "400")
        yield Case(family, f"{show(byte)} before a name", request(fields=(b"Host: a", byte + b"X: z")), "400")
        yield Case(family, f"{show(byte)} in the target", request(b"GET /a" + byte + b"b HTTP/1.1"), "400")
        yield Case(family, f"{show(byte)} after the target", request(b"GET /a" + byte + b" HTTP/1.1"), "400")
        yield Case(family, f"{show(byte)} after the version", request(b"GET / HTTP/1.1" + byte), "400")
        yield Case(family, f"{show(byte)} in the Host", request(fields=(b"Host: a" + byte + b"b",)), "400")
    for byte in (b"\x00", b"\x0b", b"\x7f"):
        yield Case(family, f"{show(byte)} in the method", request(b"GE" + byte + b"T / HTTP/1.1"), "400")
        yield Case(family, f"{show(byte)} before the method", request(byte + b"GET / HTTP/1.1"), "400")
    yield Case(family, "bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", "400")
    yield Case(family, "bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "400")
    yield Case(family, "bare LF at the end of the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n" + SMUGGLED, "400")
    yield Case(family, "LF LF at the end of the head", b"GET / HTTP/1.1\r\nHost: a\n\n" + SMUGGLED, "400")
    yield Case(family, "CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "400")
    yield Case(family, "CR LF CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "400")
    yield Case(family, "bare CR everywhere", b"GET / HTTP/1.1\rHost: a\r\r", "400")
    yield Case(family, "obs-fold", request(fields=(b"Host: a", b"X: y\r\n z")), "400")
    yield Case(family, "obs-fold with a tab", request(fields=(b"Host: a", b"X: y\r\n\tz")), "400")
    yield Case(family, "obs-fold of nothing", request(fields=(b"Host: a", b"X: y\r\n ")), "400")
    yield Case(family, "a first line that is folded", request(fields=(b" Host: a",)), "400")
    yield Case(family, "obs-text in a value", request(fields=(b"Host: a", b"X: \x80\xff\xc3\xa9")), "200")
    yield Case(family, "a tab in a value", request(fields=(b"Host: a", b"X: y\tz")), "200")
    for byte in b"\"(),/:;<=>?@[\\]{}\x80\xff ":
        one = bytes([byte])
        want = "200" if one == b":" else "400"
        yield Case("field names", f"{show(one)} in a name", request(fields=(b"Host: a", b"X" + one + b"Y: z")), want)
    for byte in b"!#$%&'*+-.^`|~09":
        one = bytes([byte])
        yield Case("field names", f"{show(one)} in a name", request(fields=(b"Host: a", b"X" + one + b"Y: z")), "200")
    yield Case("field names", "no colon", request(fields=(b"Host: a", b"X")), "400")
    yield Case("field names", "no name", request(fields=(b"Host: a", b": y")), "400")
    yield Case("field names", "a space before the colon", request(fields=(b"Host: a", b"X : y")), "400")
    yield Case("field names", "no value", request(fields=(b"Host: a", b"X:")), "200")


def targets():
    family = "targets"
    for target, want in ((b"*", "400"), (b"", "400"), (b"a", "400"), (b"a:80", "400"), (b"//evil/x", "200"), (b"///x", "200"), (b"/\\x", "400"), (b"\\x", "400"),
                         (b"/a/../b", "200"), (b"/../b", "400"), (b"/a/../../b", "400"), (b"/%2e%2e/b", "400"), (b"/a/%2e%2e/b", "200"), (b"/a/.%2e/b", "200"),
                         (b"/a/..%2fb", "400"), (b"/a%2f..%2fb", "400"), (b"/a/..;/b", "400"), (b"/a/..%3b/b", "400"), (b"/%5c..%5cb", "400"), (b"/%00", "400"),
                         (b"/%", "400"), (b"/%4", "400"), (b"/%zz", "400"), (b"/%u0041", "400"), (b"/a%", "400"), (b"/a#b", "400"), (b"/a?b#c", "400"), (b"/#", "400"),
                         (b"/?a=%00", "200"), (b"/?a=%zz", "200"), (b"/\xc3\xa9", "400"), (b"/\xff", "400"), (b"/?\xff", "400"), (b"/%ff", "200"), (b"/%c0%ae%c0%ae/b", "200"),
                         (b"/%0d%0aX:y", "200"), (b"/%0a", "200"), (b"/?x=%0d%0aX:y", "200"), (b"/a|b", "200"), (b"/<a>", "200"), (b"/\"", "200"), (b"/{a}", "200"),
                         (b"/a b", "400"), (b"/a\tb", "400"), (b"/.", "200"), (b"/./a", "200"), (b"/a/.", "200"), (b"/a/..", "200"), (b"/..", "400"), (b"/...", "200"), (b"/a//b", "200"),
                         (b"?a", "400"), (b"http:/a/", "400"), (b"http:a", "400"), (b"http://", "400"), (b"http:///x", "400"), (b"http://a", "200"), (b"http://a/x", "200"), (b"HTTP://a/x", "200"),
                         (b"http://a?x", "200"), (b"http://a#x", "400"), (b"https://a/x", "200"), (b"ftp://a/x", "400"), (b"javascript:x", "400"), (b"file:///etc/passwd", "400"),
                         (b"http://user@a/", "400"), (b"http://user:pw@a/", "400"), (b"http://a:80/", "200"), (b"http://a:0/", "200"), (b"http://a:65536/", "400"), (b"http://a:x/", "400"),
                         (b"http://a:/", "200"), (b"http://[::1]/", "200"), (b"http://[::1/", "400"), (b"http://::1/", "400"), (b"http://a\\b/", "400"), (b"http://a%20b/", "400"), (b"http://a/../x", "400"),
                         (b"http://a b/", "400"), (b"http://a/ b", "400"), (b"http://a,b/", "400"), (b"/http://b/", "200"), (b"http://127.0.0.1/", "200"), (b"http://0x7f.1/", "200"),
                         (b"/;a", "200"), (b"/a;b=c/d", "200"), (b"/a?", "200"), (b"/??", "200"), (b"/a?b?c", "200"), (b"/a?../x", "200"), (b"/%2E", "200"), (b"/%252e%252e/b", "200")):
        yield Case(family, show(target), request(b"GET " + target + b" HTTP/1.1"), want)
    yield Case(family, "an absolute URL and another Host", request(b"GET http://b/ HTTP/1.1", (b"Host: a",)), "200")
    yield Case(family, "an absolute URL and no Host", request(b"GET http://b/ HTTP/1.1", ()), "400")
    yield Case(family, "an absolute URL and an empty Host", request(b"GET http://b/ HTTP/1.1", (b"Host:",)), "400")
    yield Case(family, "an absolute URL and a bad Host", request(b"GET http://b/ HTTP/1.1", (b"Host: a b",)), "400")
    yield Case(family, "an absolute URL in HTTP/1.0", request(b"GET http://b/ HTTP/1.0", ()), "200")
    yield Case(family, "OPTIONS *", request(b"OPTIONS * HTTP/1.1"), "200")
    yield Case(family, "OPTIONS /*", request(b"OPTIONS /* HTTP/1.1"), "200")
    yield Case(family, "OPTIONS http://a", request(b"OPTIONS http://a HTTP/1.1"), "200")
    yield Case(family, "CONNECT a:80", request(b"CONNECT a:80 HTTP/1.1"), "405")
    yield Case(family, "CONNECT /", request(b"CONNECT / HTTP/1.1"), "405")
    yield Case(family, "TRACE /", request(b"TRACE / HTTP/1.1"), "405")


def hosts():
    family = "Host"
    for value, want in ((b"a", "200"), (b"a:80", "200"), (b"a:", "200"), (b"a:0", "200"), (b"a:65535", "200"), (b"a:65536", "400"), (b"a:x", "400"), (b"a:-1", "400"), (b"a:+80", "400"),
                        (b"a: 80", "400"), (b"a :80", "400"), (b":80", "400"), (b"a b", "400"), (b"a,b", "400"), (b"a/b", "400"), (b"a?b", "400"), (b"a#b", "400"), (b"user@a", "400"), (b"a@b", "400"), (b"a\\b", "400"),
                        (b"http://a", "400"), (b"[::1]", "200"), (b"[::1]:80", "200"), (b"[::1", "400"), (b"::1", "400"), (b"[a]", "400"), (b"[::1]x", "400"), (b"[::1%25eth0]", "400"), (b"[::g]", "400"), (b"[]", "400"), (b"[::1]:", "200"),
                        (b"127.0.0.1", "200"), (b"127.1", "200"), (b"A.B", "200"), (b"a.", "200"), (b".a", "400"), (b"a..b", "400"), (b"-a", "200"), (b"a_b", "200"), (b"a%2eb", "400"), (b"a%00", "400"), (b"\xc3\xa9", "400"), (b"xn--e1a", "200"), (b"*", "400"), (b"*.a", "400"),
                        (b"a;b", "400"), (b"a=b", "400"), (b"a|b", "400"), (b"\"a\"", "400"), (b"<a>", "400"), (b"a'", "400"), (b"a!", "400"), (b"a$", "400"), (b"a&b", "400"), (b"(a)", "400"), (b"a*", "400"), (b"a~", "200"), (b"", "400"), (b"a:80:80", "400"), (b"a\t", "200"), (b"a\tb", "400"),
                        (b"a" * 255, "200")):
        yield Case(family, show(value) if len(value) < 60 else f"{len(value)} characters", request(fields=(b"Host: " + value,)), want)
    yield Case(family, "none", request(fields=()), "400")
    yield Case(family, "none in HTTP/1.0", request(b"GET / HTTP/1.0", ()), "200")
    yield Case(family, "empty in HTTP/1.0", request(b"GET / HTTP/1.0", (b"Host:",)), "400")
    for first, second in ((b"a", b"a"), (b"a", b"b"), (b"a", b""), (b"", b"a")):
        yield Case(family, f"twice {show(first)} {show(second)}", request(fields=(b"Host: " + first, b"Host: " + second)), "400")
    yield Case(family, "twice in HTTP/1.0", request(b"GET / HTTP/1.0", (b"Host: a", b"Host: b")), "400")
    yield Case(family, "twice in two spellings", request(fields=(b"Host: a", b"hOST: b")), "400")
    yield Case(family, "folded", request(fields=(b"Host:\r\n a",)), "400")
    yield Case(family, "a space before the colon", request(fields=(b"Host : a",)), "400")
    yield Case(family, "X-Forwarded-Host beside it", request(fields=(b"Host: a", b"X-Forwarded-Host: evil")), "200")
    yield Case(family, "named by Connection", request(fields=(b"Host: a", b"Connection: host")), "200")


def lines():
    family = "request lines"
    for line, want in ((b"GET  / HTTP/1.1", "400"), (b"GET /  HTTP/1.1", "400"), (b" GET / HTTP/1.1", "400"), (b"GET / HTTP/1.1 ", "400"), (b"GET\t/ HTTP/1.1", "400"), (b"GET /\tHTTP/1.1", "400"), (b"GET / HTTP/1.1\t", "400"), (b"GET", "400"), (b"GET /", "400"), (b"GET / ", "400"), (b"", "400"),
                       (b"GET/ HTTP/1.1", "400"), (b"/ HTTP/1.1", "400"), (b"GET /HTTP/1.1", "400"), (b"GET / http/1.1", "400"), (b"GET / Http/1.1", "400"), (b"GET / HTTP/1.1.1", "400"), (b"GET / HTTP/1.", "400"), (b"GET / HTTP/.1", "400"), (b"GET / HTTP/1", "400"), (b"GET / HTTP/11", "400"), (b"GET / HTTP /1.1", "400"), (b"GET / HTTP/ 1.1", "400"), (b"GET / HTTP/01.1", "400"), (b"GET / HTTP/1.01", "400"), (b"GET / HTTP/1.10", "400"), (b"GET / HTTP/1,1", "400"), (b"GET / HTTP/-1.1", "400"),
                       (b"GET / HTTP/1.2", "505"), (b"GET / HTTP/1.9", "505"), (b"GET / HTTP/2.0", "505"), (b"GET / HTTP/3.0", "505"), (b"GET / HTTP/0.9", "505"), (b"GET / HTTP/9.9", "505"), (b"GET / HTTP/10.1", "400"), (b"GET / HTTPS/1.1", "400"), (b"GET / ICY/1.1", "400"), (b"GET / RTSP/1.0", "400"), (b"GET / SIP/2.0", "400"), (b"GET / XHTTP/1.1", "400"), (b"GET / HTTP/1.1 HTTP/1.1", "400"), (b"GET / x HTTP/1.1", "400"),
                       (b"get / HTTP/1.1", "501"), (b"Get / HTTP/1.1", "501"), (b"gET / HTTP/1.1", "501"), (b"FOO / HTTP/1.1", "501"), (b"G / HTTP/1.1", "501"), (b"GETX / HTTP/1.1", "501"), (b"XGET / HTTP/1.1", "501"), (b"G@T / HTTP/1.1", "400"), (b"G:T / HTTP/1.1", "400"), (b"GET: / HTTP/1.1", "400"), (b"\"GET\" / HTTP/1.1", "400"), (b"G\xe9T / HTTP/1.1", "400"), (b"PRI * HTTP/2.0", "-"), (b"SOURCE / HTTP/1.1", "200"),
                       (b"DELETE / HTTP/1.1", "200"), (b"PATCH / HTTP/1.1", "200"), (b"PROPFIND / HTTP/1.1", "200"), (b"PURGE / HTTP/1.1", "200"), (b"OPTIONS / HTTP/1.1", "200")):
        yield Case(family, show(line), request(line), want)
    yield Case(family, "HTTP/0.9", b"GET /\r\n", "-")
    yield Case(family, "HTTP/0.9 with more", b"GET /\r\n\r\n" + SMUGGLED, "400")
    yield Case(family, "one empty line before", b"\r\n" + request(), "200")
    yield Case(family, "two empty lines before", b"\r\n\r\n" + request(), "400")
    yield Case(family, "a bare LF before", b"\n" + request(), "400")
    yield Case(family, "a space line before", b" \r\n" + request(), "400")
    yield Case(family, "an empty line between two", request() + b"\r\n" + NEXT, "200 200")
    yield Case(family, "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60, "400")
    yield Case(family, "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "-")  # HTTP/2 from here on, which says no status
    yield Case(family, "PROXY protocol v1", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + request(), "400")
    yield Case(family, "PROXY protocol v2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\x01" * 12 + request(), "400")
    yield Case(family, "SSH", b"SSH-2.0-x\r\n", "-")
    yield Case(family, "absolute nonsense", b"\xff\xfe\xfd\xfc\r\n\r\n", "400")


def connections():
    family = "connection"
    for value, want in ((b"close", "200"), (b"Close", "200"), (b"close, keep-alive", "200"), (b"keep-alive, close", "200"), (b"x, close", "200"), (b"close\t", "200")):
        yield Case(family, f"Connection {show(value)} and one more", request(fields=(b"Host: a", b"Connection: " + value), body=NEXT), want)
    for value in (b"keep-alive", b"", b"x", b"closed", b"clos", b",", b", ,", b"\"close\"", b"close=1"):
        yield Case(family, f"Connection {show(value)} and one more", request(fields=(b"Host: a", b"Connection: " + value), body=NEXT), "200 200")
    yield Case(family, "twice, the second close", request(fields=(b"Host: a", b"Connection: keep-alive", b"Connection: close"), body=NEXT), "200")
    yield Case(family, "HTTP/1.0 and one more", request(b"GET / HTTP/1.0", body=NEXT), "200")
    yield Case(family, "HTTP/1.0 kept alive and one more", request(b"GET / HTTP/1.0", (b"Host: a", b"Connection: keep-alive"), NEXT), "200 200")
    yield Case(family, "HTTP/1.0 close, keep-alive", request(b"GET / HTTP/1.0", (b"Host: a", b"Connection: close, keep-alive"), NEXT), "200")
    for name in (b"x-real", b"authorization", b"cookie", b"x-forwarded-for", b"content-type", b"host, content-length, transfer-encoding"):
        yield Case(family, f"Connection names {show(name)}", request(fields=(b"Host: a", b"Connection: " + name, b"Cookie: c", b"Authorization: z", b"X-Real: r")), "200")
    yield Case(family, "h2c", request(fields=(b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), body=NEXT), "200 200")
    yield Case(family, "h2c without the settings in Connection", request(fields=(b"Host: a", b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMA")), "200")
    yield Case(family, "Upgrade: TLS/1.0", request(fields=(b"Host: a", b"Connection: Upgrade", b"Upgrade: TLS/1.0")), "200")
    yield Case(family, "Upgrade without Connection", request(fields=(b"Host: a", b"Upgrade: websocket"), body=NEXT), "200 200")
    yield Case(family, "websocket that is not switched, and more", request(fields=(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: x"), body=NEXT), "200 200")
    yield Case(family, "Upgrade: websocket, h2c", request(fields=(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket, h2c")), "200")
    for value, want in ((b"100-continue", "200"), (b"100-Continue", "200"), (b"100-continue, x", "417"), (b"x", "417"), (b"", "200"), (b"100", "417"), (b"100-continue;q=1", "417"), (b"\"100-continue\"", "417")):
        yield Case(family, f"Expect {show(value)}", post(b"Expect: " + value, b"Content-Length: 3", body=b"abc"), want)
    yield Case(family, "Expect twice", post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 3", body=b"abc"), "200")
    yield Case(family, "Expect in HTTP/1.0", request(b"POST / HTTP/1.0", (b"Host: a", b"Expect: 100-continue", b"Content-Length: 3"), b"abc"), "200")
    yield Case(family, "Expect without a body", request(fields=(b"Host: a", b"Expect: 100-continue"), body=NEXT), "200 200")
    yield Case(family, "Expect obfuscated, a body that is a request (0.CL)",
               request(fields=(b"Host: a", b"Expect: y 100-continue", b"Content-Length: %d" % len(SMUGGLED)), body=SMUGGLED), "417")
    yield Case(family, "Max-Forwards: 0", request(b"OPTIONS / HTTP/1.1", (b"Host: a", b"Max-Forwards: 0")), "200")
    yield Case(family, "ten at once", request() * 10, " ".join(["200"] * 10))
    yield Case(family, "a refused one, then another", request(fields=(b"Host: a", b"X : y")) + NEXT, "400")
    yield Case(family, "an unknown method, then another", request(b"FOO / HTTP/1.1") + NEXT, "501")
    for name in (b"Proxy", b"X_Real_IP", b"X-Forwarded-For", b"Forwarded", b"X-Forwarded-Proto", b"Proxy-Connection", b"Keep-Alive", b"TE", b"Trailer", b"Proxy-Authorization", b"HTTP2-Settings"):
        yield Case(family, f"a field {show(name)}", request(fields=(b"Host: a", name + b": spoofed")), "200")


def bounds():
    family = "bounds"
    yield Case(family, "request line of 8192", request(b"GET /" + b"a" * (8192 - 14) + b" HTTP/1.1"), "200")
    yield Case(family, "request line of 8193", request(b"GET /" + b"a" * (8192 - 13) + b" HTTP/1.1"), "414")
    yield Case(family, "100 fields", request(fields=(b"Host: a",) + tuple(b"X%d: y" % i for i in range(99))), "200")
    yield Case(family, "101 fields", request(fields=(b"Host: a",) + tuple(b"X%d: y" % i for i in range(100))), "431")
    head = len(request(fields=(b"Host: a", b"X: ")))
    yield Case(family, "head of 32768", request(fields=(b"Host: a", b"X: " + b"y" * (32768 - head))), "200")
    yield Case(family, "head of 32769", request(fields=(b"Host: a", b"X: " + b"y" * (32769 - head))), "431")
    yield Case(family, "a name of 30000", request(fields=(b"Host: a", b"X" * 30000 + b": y")), "200")
    yield Case(family, "a method of 1000", request(b"M" * 1000 + b" / HTTP/1.1"), "501")
    yield Case(family, "a method of 20000 without end", b"M" * 20000, "414")
    yield Case(family, "a target of 40000 without end", b"GET /" + b"a" * 40000, "414")
    yield Case(family, "a field of 40000 without end", b"GET / HTTP/1.1\r\nX: " + b"a" * 40000, "431")
    yield Case(family, "a thousand dot segments", request(b"GET " + b"/a/.." * 1000 + b" HTTP/1.1"), "200")
    yield Case(family, "a thousand slashes", request(b"GET " + b"/" * 1000 + b" HTTP/1.1"), "200")


def all_cases():
    for family in (lengths, transfer_encodings, chunks, control_bytes, targets, hosts, lines, connections, bounds):
        yield from family()
