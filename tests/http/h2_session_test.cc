#include "http/h2_session.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/http/h2_frames.h"
#include "tests/http/h2_peer.h"

namespace lotse::http {
namespace {

const std::vector<Field> kGet{{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/x"}};
const std::vector<Field> kPost{{":method", "POST"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/x"}};
const std::vector<Field> kOk{{":status", "200"}, {"Content-Type", "text/plain"}};
const std::vector<Field> kEarlyHints{{":status", "103"}, {"link", "</a.css>"}};

class H2Pair : public ::testing::Test {
 protected:
  void connect() { exchange_bytes(client, server); }
  H2Stream& of_server(std::int32_t id) { return *server.streams.at(id)->stream; }

  H2Peer client{H2Options{.is_client = true}};
  H2Peer server;
};

TEST_F(H2Pair, CarriesARequestAndItsAnswerWithInterimHeadBodyAndTrailers) {
  auto& stream = client.open(kGet, true);
  connect();
  EXPECT_EQ(server.text, "request 1 ends\n  :method: GET\n  :scheme: http\n  :authority: a.test\n  :path: /x\nend 1\n");
  H2Stream& answer = of_server(1);
  server.session.send_head(answer, kEarlyHints, false);
  server.session.send_head(answer, kOk, false);
  server.session.send_body(answer, "hello");
  const std::vector<Field> trailers{{"Checksum", "7"}};
  server.session.send_end(answer, trailers);
  connect();
  EXPECT_EQ(client.text,
            "block 1\n  :status: 103\n  link: </a.css>\n"
            "block 1\n  :status: 200\n  content-type: text/plain\n"
            "block 1 ends\n  checksum: 7\nend 1\nclosed 1 NO_ERROR\n");
  EXPECT_EQ(stream.body, "hello");
  EXPECT_EQ(server.session.streams(), 0u);
  EXPECT_EQ(client.session.streams(), 0u);
}

TEST_F(H2Pair, ABodyWaitsForTheReadersWindowAndSaysWhenItHasSunk) {
  client.consumes = false;
  auto& stream = client.open(kGet, true);
  connect();
  H2Stream& answer = of_server(1);
  server.session.send_head(answer, kOk, false);
  const std::string body(200 * 1024, 'b');
  server.session.send_body(answer, body);
  connect();
  EXPECT_EQ(stream.body.size(), 64u * 1024);  // the window of a stream
  EXPECT_EQ(answer.queued_bytes(), body.size() - 64 * 1024);
  EXPECT_EQ(server.text.find("drained"), std::string::npos);
  while (answer.queued_bytes() > 0) {
    stream.consume();
    connect();
  }
  stream.consume();
  connect();
  EXPECT_NE(server.text.find("drained 1\n"), std::string::npos);
  server.session.send_end(answer, {});
  connect();
  EXPECT_EQ(stream.body, body);
  EXPECT_EQ(server.session.held_bytes(), server.session.held_bytes());
}

TEST_F(H2Pair, FramesWaitForRoomInTheOutput) {
  auto& stream = client.open(kGet, true);
  connect();
  H2Stream& answer = of_server(1);
  server.session.send_head(answer, kOk, false);
  server.room_max = 1000;
  const std::string body(60 * 1024, 'b');
  server.session.send_body(answer, body);
  EXPECT_LT(server.out.size(), 1000 + 16 * 1024 + 9u);
  connect();
  EXPECT_EQ(stream.body, body);
}

TEST_F(H2Pair, AnAnswerBeforeTheEndOfItsRequestEndsTheStreamWithoutAnError) {
  client.open(kPost, false);
  connect();
  server.session.send_head(of_server(1), kOk, true);
  connect();
  EXPECT_EQ(client.text.find("closed"), std::string::npos);  // it may be in the middle of a body
  server.session.reset_answered();
  connect();
  EXPECT_NE(client.text.find("closed 1 NO_ERROR"), std::string::npos);
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST_F(H2Pair, AClientThatHasAnAnswerMayLeaveTheRestOfItsBodyOut) {
  std::vector<Field> post = kPost;
  post.push_back({"content-length", "10"});
  auto& stream = client.open(post, false);
  connect();
  server.session.send_head(of_server(1), kOk, false);
  connect();
  client.session.send_end(*stream.stream, {});
  connect();
  EXPECT_EQ(server.text.find("end 1"), std::string::npos);  // it is not whole
  server.session.send_body(of_server(1), "sorry");
  server.session.send_end(of_server(1), {});
  connect();
  EXPECT_NE(client.text.find("closed 1 NO_ERROR"), std::string::npos) << client.text;
  EXPECT_EQ(stream.body, "sorry");
}

TEST_F(H2Pair, AResetTellsTheOtherSideWhy) {
  client.open(kGet, true);
  connect();
  server.session.reset(of_server(1), H2Error::internal_error);
  connect();
  EXPECT_NE(client.text.find("closed 1 INTERNAL_ERROR\n"), std::string::npos);
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST_F(H2Pair, ARefusedStreamWasNotProcessed) {
  client.open(kGet, true);
  connect();
  server.session.reset(of_server(1), H2Error::refused_stream);
  connect();
  EXPECT_NE(client.text.find("closed 1 REFUSED_STREAM unprocessed\n"), std::string::npos);
}

TEST_F(H2Pair, StreamsAboveTheLastOneOfAGoawayWereNotProcessed) {
  client.open(kGet, true);
  connect();
  client.open(kGet, true);  // crosses the GOAWAY
  const std::string late = client.take();
  server.session.finish();
  client.feed(server.take());
  server.feed(late);
  EXPECT_NE(client.text.find("closed 3 REFUSED_STREAM unprocessed\n"), std::string::npos);
  EXPECT_EQ(client.text.find("closed 1"), std::string::npos);
  EXPECT_FALSE(client.session.can_open());
  server.session.send_head(of_server(1), kOk, true);
  connect();
  EXPECT_TRUE(server.session.is_over());
  EXPECT_TRUE(client.session.is_over());
}

TEST_F(H2Pair, AnAnnouncedEndStillTakesWhatIsOnItsWay) {
  client.open(kGet, true);
  connect();
  client.open(kGet, true);
  const std::string late = client.take();
  server.session.announce_end();
  client.feed(server.take());
  server.feed(late);
  EXPECT_NE(server.text.find("request 3"), std::string::npos);
}

TEST_F(H2Pair, TheClientOpensNoMoreStreamsThanTheServerTakes) {
  H2Peer small{H2Options{.streams_max = 2}};
  exchange_bytes(client, small);
  client.open(kGet, true);
  client.open(kGet, true);
  EXPECT_FALSE(client.session.can_open());
  EXPECT_EQ(client.open(kGet, true).stream, nullptr);
}

TEST_F(H2Pair, AWholeConnectionMayGoAwayInACallback) {
  client.open(kPost, false);
  connect();
  server.session.close_streams(H2Error::cancel);
  EXPECT_NE(server.text.find("closed 1 CANCEL"), std::string::npos);
}

TEST_F(H2Pair, GivesItsMemoryBack) {
  connect();
  const std::size_t before = server.session.held_bytes();
  for (int i = 0; i < 50; ++i) client.open(kGet, true);
  connect();
  EXPECT_GT(server.session.held_bytes(), before);
  for (int i = 0; i < 50; ++i) server.session.send_head(of_server(2 * i + 1), kOk, true);
  connect();
  EXPECT_LE(server.session.held_bytes(), before + 8 * 1024);  // the tables of HPACK have grown
}

// What the peer does wrong ----------------------------------------------------------------------------------------

std::vector<h2::Frame> answer_to(const std::string& bytes, const H2Options& options = {}, std::string* text = nullptr) {
  H2Peer server(options);
  server.feed(bytes);
  std::string out = server.take();
  if (text != nullptr) *text = server.text;
  return h2::take_frames(out);
}
std::uint32_t goaway_error(const std::vector<h2::Frame>& frames) {
  for (const h2::Frame& one : frames)
    if (one.type == h2::goaway) return one.error();
  return 999;
}
std::uint32_t reset_error(const std::vector<h2::Frame>& frames) {
  for (const h2::Frame& one : frames)
    if (one.type == h2::rst_stream) return one.error();
  return 999;
}
constexpr std::uint32_t kProtocolError = 1, kFlowControl = 3, kCalm = 11;

TEST(H2Session, ABodyLongerOrShorterThanItsContentLengthIsMalformed) {
  const auto head =
      h2::hello() + h2::headers_frame(1, h2::get("/", "POST") + h2::Fields{{"content-length", "3"}}, h2::end_headers);
  EXPECT_EQ(reset_error(answer_to(head + h2::data_frame(1, "four"))), kProtocolError);
  EXPECT_EQ(reset_error(answer_to(head + h2::data_frame(1, "to", h2::end_stream))), kProtocolError);
  EXPECT_EQ(reset_error(answer_to(head + h2::data_frame(1, "yes", h2::end_stream))), 999u);
}

TEST(H2Session, TrailersThatDoNotEndTheStreamAreMalformed) {
  const auto head = h2::hello() + h2::headers_frame(1, h2::get("/", "POST"), h2::end_headers);
  EXPECT_EQ(reset_error(answer_to(head + h2::headers_frame(1, {{"a", "b"}}, h2::end_headers))), kProtocolError);
}

TEST(H2Session, MoreThanTheWindowIsAFlowControlError) {
  std::string bytes = h2::hello() + h2::headers_frame(1, h2::get("/", "POST"), h2::end_headers);
  H2Peer server;
  server.consumes = false;
  server.feed(bytes);
  const std::string piece(16 * 1024, 'x');
  for (int i = 0; i < 5; ++i) server.feed(h2::data_frame(1, piece));
  std::string out = server.take();
  const auto frames = h2::take_frames(out);
  EXPECT_TRUE(reset_error(frames) == kFlowControl || goaway_error(frames) == kFlowControl);
}

TEST(H2Session, AHeadBeyondItsBoundsIsSaidToBeTooLarge) {
  std::string text;
  answer_to(h2::hello() + h2::headers_frame(1, h2::get() + h2::Fields{{"a", std::string(2000, 'x')}}),
            {.head_bytes_max = 1500}, &text);
  EXPECT_NE(text.find("request 1 ends too large"), std::string::npos);
}

TEST(H2Session, AHeadFarBeyondItsBoundsEndsTheConnection) {
  // One long field in the dynamic table, and a byte for each time that it is meant.
  std::string bomb = h2::block(h2::get());
  bomb += '\x40' + h2::text("bomb") + h2::text(std::string(3000, 'x'));
  bomb += std::string(10'000, '\xbe');
  EXPECT_EQ(goaway_error(answer_to(h2::hello() + h2::frame(h2::headers, h2::end_headers | h2::end_stream, 1, bomb))),
            kCalm);
}

TEST(H2Session, MoreContinuationsThanEightEndTheConnection) {
  const auto head = h2::hello() + h2::headers_frame(1, h2::get(), h2::end_stream);
  std::string more;
  for (int i = 0; i < 8; ++i)
    more += h2::frame(h2::continuation, i == 7 ? h2::end_headers : 0, 1, h2::block({{"a", "b"}}));
  EXPECT_EQ(goaway_error(answer_to(head + more)), 999u);
  more.clear();
  for (int i = 0; i < 9; ++i) more += h2::frame(h2::continuation, 0, 1, h2::block({{"a", "b"}}));
  EXPECT_EQ(goaway_error(answer_to(head + more)), kCalm);
}

struct FloodCase {
  const char* name;
  H2Flood kind;
  std::string frame;  // sent again and again
  std::string before;
};
class H2Floods : public ::testing::TestWithParam<FloodCase> {};

TEST_P(H2Floods, EndTheConnectionAtTheirBoundAndNotBefore) {
  const FloodCase& flood = GetParam();
  for (const int count : {200, 201}) {
    H2Peer server;
    server.feed(std::string(h2::kPreface) + flood.before);
    for (int i = 0; i < count; ++i) server.feed(flood.frame), server.take();
    EXPECT_EQ(server.session.flood() == flood.kind, count == 201) << count;
    EXPECT_EQ(server.session.is_over(), count == 201) << count;
  }
}
TEST_P(H2Floods, AreForgottenAfterTenSeconds) {
  const FloodCase& flood = GetParam();
  H2Peer server;
  server.now = Instant{std::chrono::hours(1)};
  server.feed(std::string(h2::kPreface) + flood.before);
  for (int span = 0; span < 3; ++span) {
    for (int i = 0; i < 200; ++i) server.feed(flood.frame), server.take();
    server.now += std::chrono::seconds(10);
  }
  EXPECT_FALSE(server.session.is_over());
}
INSTANTIATE_TEST_SUITE_P(
    Kinds, H2Floods,
    ::testing::Values(
        FloodCase{"pings", H2Flood::pings, h2::frame(h2::ping, 0, 0, "12345678"), h2::frame(h2::settings, 0, 0)},
        FloodCase{"settings", H2Flood::settings, h2::frame(h2::settings, 0, 0), ""},
        FloodCase{"window_updates", H2Flood::window_updates, h2::frame(h2::window_update, 0, 0, h2::number(1, 4)),
                  h2::frame(h2::settings, 0, 0)},
        FloodCase{"empty_frames", H2Flood::empty_frames, h2::data_frame(1, ""),
                  h2::frame(h2::settings, 0, 0) + h2::headers_frame(1, h2::get("/", "POST"), h2::end_headers)},
        FloodCase{"padding", H2Flood::empty_frames, h2::data_frame(1, std::string(1, '\x03') + "abc", h2::padded),
                  h2::frame(h2::settings, 0, 0) + h2::headers_frame(1, h2::get("/", "POST"), h2::end_headers)},
        FloodCase{"other_frames", H2Flood::other_frames, h2::frame(0x42, 0, 0, "?"), h2::frame(h2::settings, 0, 0)}),
    [](const auto& one) { return one.param.name; });

TEST(H2Session, RapidResetsEndTheConnection) {
  H2Peer server;
  server.feed(h2::hello());
  int streams = 0;
  for (std::uint32_t id = 1; !server.session.is_over() && streams < 1000; id += 2, ++streams) {
    server.feed(h2::headers_frame(id, h2::get()) + h2::frame(h2::rst_stream, 0, id, h2::number(8, 4)));
    server.take();
  }
  EXPECT_EQ(streams, 201);
  EXPECT_EQ(server.session.flood(), H2Flood::resets);
}

// CVE-2025-8671: the peer never resets anything, it makes us do it.
TEST(H2Session, ResetsThatThePeerProvokesCountAsItsOwn) {
  const std::vector<std::string> provocations{
      h2::frame(h2::window_update, 0, 1, h2::number(0x7fffffff, 4)),  // by nghttp2's rules
      h2::headers_frame(1, {{"a", "b"}}, h2::end_headers),            // by ours
  };
  for (const std::string& provocation : provocations) {
    H2Peer server;
    server.feed(h2::hello());
    int streams = 0;
    for (std::uint32_t id = 1; !server.session.is_over() && streams < 1000; id += 2, ++streams) {
      std::string wrong = provocation;
      wrong.replace(5, 4, h2::number(id, 4));
      server.feed(h2::headers_frame(id, h2::get("/", "POST"), h2::end_headers) + wrong);
      server.take();
    }
    EXPECT_EQ(streams, 201);
    EXPECT_EQ(server.session.error(), H2Error::enhance_your_calm);
  }
}

TEST(H2Session, SaysTheSameHoweverItsBytesAreCut) {
  const std::string bytes = h2::hello() + h2::headers_frame(1, h2::get("/a", "POST"), h2::end_headers) +
                            h2::data_frame(1, "body") + h2::headers_frame(1, {{"t", "1"}}) +
                            h2::headers_frame(3, h2::get("/b"));
  std::string whole;
  answer_to(bytes, {}, &whole);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    H2Peer server;
    server.feed(bytes.substr(0, cut));
    server.feed(bytes.substr(cut));
    EXPECT_EQ(server.text, whole) << cut;
  }
}

}  // namespace
}  // namespace lotse::http
