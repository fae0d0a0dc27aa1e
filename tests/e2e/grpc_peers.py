#!/usr/bin/python3
"""A real gRPC server, and a real client that tries what it has through a proxy. Generic handlers: no generated code.

grpc_peers.py server             prints "listening PORT"
grpc_peers.py client HOST:PORT   prints "ok NAME" or "FAILED NAME: why" for each thing tried
"""
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "test.Echo"


def unary(request, context):
    if request == b"fail":
        context.set_trailing_metadata((("why", "asked"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked: 100 %")
    if request == b"sleep":
        time.sleep(5)
    if request.startswith(b"large "):
        return b"x" * int(request[6:])
    context.set_trailing_metadata((("seen", "yes"),))
    return b"echo " + request


def server_stream(request, context):
    for i in range(int(request)):
        yield b"message %d" % i


def client_stream(requests, context):
    return b"%d" % sum(len(one) for one in requests)


def both_streams(requests, context):
    for one in requests:
        yield b"echo " + one


class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        name = call.method.rsplit("/", 1)[-1]
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
            "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
            "BothStreams": grpc.stream_stream_rpc_method_handler(both_streams),
        }.get(name)


class Health(grpc.GenericRpcHandler):
    """grpc.health.v1: SERVING (field 1, value 1)."""

    def service(self, call):
        if call.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((Echo(), Health()))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("listening", port, flush=True)
    server.wait_for_termination()


def expect(is_true, what):
    if not is_true:
        raise AssertionError(what)


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("no error")


def try_all(address):
    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
    method = lambda name: f"/{SERVICE}/{name}"
    unary = channel.unary_unary(method("Unary"))
    missing = channel.unary_unary(method("Nothing"))

    def unary_call():
        answer, call = unary.with_call(b"hello", timeout=5)
        expect(answer == b"echo hello", answer)
        expect(("seen", "yes") in [tuple(one) for one in call.trailing_metadata()], "trailers")

    def failing_call():
        error = status_of(lambda: unary(b"fail", timeout=5))
        expect(error.code() == grpc.StatusCode.FAILED_PRECONDITION, error)
        expect(error.details() == "as asked: 100 %", error.details())
        expect(("why", "asked") in [tuple(one) for one in error.trailing_metadata()], "trailers")

    def unknown_method():
        error = status_of(lambda: missing(b"", timeout=5))
        expect(error.code() == grpc.StatusCode.UNIMPLEMENTED, error)

    def deadline():
        begun = time.monotonic()
        error = status_of(lambda: unary(b"sleep", timeout=0.3))
        expect(error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error)
        expect(time.monotonic() - begun < 3, "took too long")

    def large_messages():
        expect(len(unary(b"large 3000000", timeout=20)) == 3000000, "answer")
        expect(len(unary(b"y" * 3000000, timeout=20)) == 3000005, "request")

    def server_streaming():
        answers = list(channel.unary_stream(method("ServerStream"))(b"500", timeout=10))
        expect(len(answers) == 500 and answers[-1] == b"message 499", len(answers))

    def client_streaming():
        answer = channel.stream_unary(method("ClientStream"))(iter([b"ab"] * 500), timeout=10)
        expect(answer == b"1000", answer)

    def both_ways():
        turn = threading.Semaphore(1)

        def requests():
            for i in range(50):
                turn.acquire()
                yield b"%d" % i

        seen = 0
        for answer in channel.stream_stream(method("BothStreams"))(requests(), timeout=10):
            expect(answer == b"echo %d" % seen, answer)  # each before the next question
            seen += 1
            turn.release()
        expect(seen == 50, seen)

    def cancelling():
        call = channel.stream_stream(method("BothStreams"))(iter(lambda: time.sleep(0.01) or b"x", None))
        next(call)
        call.cancel()
        expect(unary(b"after", timeout=5) == b"echo after", "after")

    def many_at_once():
        calls = [unary.future(b"%d" % i, timeout=20) for i in range(300)]
        expect([one.result() for one in calls] == [b"echo %d" % i for i in range(300)], "answers")

    for each in (unary_call, failing_call, unknown_method, deadline, large_messages, server_streaming,
                 client_streaming, both_ways, cancelling, many_at_once):
        try:
            each()
            print("ok", each.__name__, flush=True)
        except Exception as error:  # pylint: disable=broad-except
            print("FAILED", each.__name__ + ":", repr(error), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve()
    else:
        try_all(sys.argv[2])
