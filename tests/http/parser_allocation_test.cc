// A connection that is kept alive allocates nothing once its parser is warm. This program's operator new counts.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "http/h1_parser.h"

namespace {
std::atomic<std::size_t> allocations = 0;
}

// Not inlined: g++ would see free() paired with new and warn. The array forms too, because a sanitizer has its own.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* place = std::malloc(size)) return place;
  std::abort();
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, std::size_t) noexcept { std::free(place); }

namespace lotse::http {
namespace {

struct Deaf final : RequestListener, ResponseListener {
  void on_request_head(const RequestHead&) override {}
  void on_request_body(std::span<const char>) override {}
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override { ++completed; }
  void on_response_head(const ResponseHead&) override {}
  void on_response_body(std::span<const char>) override {}
  void on_response_trailers(std::span<const Field>) override {}
  void on_response_complete() override { ++completed; }
  int completed = 0;
};

TEST(Parsers, AllocateNothingOnceTheyAreWarm) {
  const Limits limits;
  Deaf deaf;
  RequestParser requests(deaf, limits);
  ResponseParser responses(deaf, limits);
  const std::string fields = "Host: a\r\nCookie: " + std::string(3000, 'x') + "\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = "3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n";
  const std::string request = "POST /a HTTP/1.1\r\n" + fields + body, response = "HTTP/1.1 200 OK\r\n" + fields + body;
  const auto exchange = [&] {
    (void)requests.feed(request);
    responses.expect(Method::post);
    (void)responses.feed(response);
  };
  exchange();
  const std::size_t before = allocations;
  for (int i = 0; i < 10; ++i) exchange();
  EXPECT_EQ(allocations - before, 0u);
  EXPECT_EQ(deaf.completed, 22);
}

TEST(Parsers, LendTheirBufferOnceReleased) {
  const Limits limits;
  Deaf deaf;
  RequestParser first(deaf, limits), second(deaf, limits);
  const std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  (void)first.feed(request);
  first.release();
  const std::size_t before = allocations;
  (void)second.feed(request);  // with what the first one had
  second.release();
  (void)first.feed(request);
  EXPECT_EQ(allocations - before, 0u);
}

}  // namespace
}  // namespace lotse::http
