// A storm from one seed: clients that split, pipeline, stall and vanish, endpoints that answer in every way and in
// none, a table and a configuration that change under them. Every request carries a token; what must never be is an
// answer, or a byte of a body, that belongs to another request (P2), a request that may not be repeated and was, or
// anything left over when all have gone. LOTSE_STRESS_SEEDS=N runs N more seeds, LOTSE_STRESS_SEED=S that one alone.
#include <dirent.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <optional>

#include "base/random.h"
#include "http/h1_parser.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

constexpr std::size_t kClients = 24, kEndpoints = 4, kConnectionsPerSeed = 500;

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// The bodies say whose they are at every byte: "<token>" over and over.
std::string body_of(std::uint64_t token, std::size_t bytes) {
  const std::string unit = "<" + std::to_string(token) + ">";
  std::string body;
  while (body.size() < bytes) body += unit;
  body.resize(bytes);
  return body;
}
bool is_body_of(std::uint64_t token, std::size_t offset, std::span<const char> bytes) {
  const std::string unit = "<" + std::to_string(token) + ">";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != unit[(offset + i) % unit.size()]) return false;
  }
  return true;
}

struct Request {
  std::uint64_t token = 0;
  http::Method method = http::Method::get;
  std::size_t body_bytes = 0;
  int minor_version = 1;
  bool upgrades = false;
  std::string text;
};

// What the whole run knows.
struct Storm {
  explicit Storm(std::uint64_t seed) : random(seed) {}
  bool chance(std::uint64_t percent) { return random.below(100) < percent; }
  void blame(std::string what) {
    if (faults.size() < 5) faults.push_back(std::move(what));
  }

  Random random;
  std::uint64_t next_token = 1'000'000;  // of equal length: a mix-up never shows as a truncation
  std::map<std::uint64_t, int> posts_seen;
  std::vector<std::string> faults;
  std::size_t answered = 0, answered_by_us = 0, cut = 0, tunnels = 0;
};

// One connection that the proxy made. Reads requests strictly and answers each in a way that chance picks.
class EndpointSide final : public http::RequestListener {
 public:
  EndpointSide(Storm& storm, Peer& peer) : storm_(storm), peer_(peer), parser_(*this, limits_) {}

  void on_data() {
    std::string bytes = std::move(peer_.received);
    peer_.received.clear();
    std::string_view left = bytes;
    while (!left.empty() && peer_.is_open() && !has_ended_) {
      if (is_tunnel_) {
        if (!is_body_of(token_, body_read_, left)) storm_.blame("the bytes of another tunnel");
        body_read_ += left.size();
        return;
      }
      if (is_busy_ && is_whole_) return storm_.blame("a request before the answer to the one before");
      http::FeedResult fed = parser_.feed(left);
      left.remove_prefix(fed.consumed);
      if (fed.error) return storm_.blame(std::string("the proxy sent what does not parse: ") + fed.error.reason);
    }
  }
  // Now and then: what was put off is done.
  void tick() {
    if (!is_busy_ || has_ended_ || !peer_.is_open()) return;
    if (is_tunnel_ && later_.empty()) {
      if (storm_.chance(2)) return reset();
      if (peer_.has_ended || storm_.chance(5)) half_close();
      return;
    }
    if (later_.empty()) return;
    std::size_t bytes = 1 + storm_.random.below(later_.size());
    peer_.send(later_.substr(0, bytes));
    later_.erase(0, bytes);
    if (later_.empty() && !is_tunnel_) finish();
  }

 private:
  enum class End { keep, close, reset };

  void on_request_head(const http::RequestHead& head) override {
    std::size_t at = head.path.find("/t/");
    if (at == std::string_view::npos) return storm_.blame("a request without a token");
    token_ = std::stoull(std::string(head.path.substr(at + 3)));
    body_read_ = 0;
    is_busy_ = true;
    is_whole_ = false;
    method_ = head.method;
    expects_continue_ = head.expects_continue;
    upgrades_ = !head.upgrade.empty();
    body_bytes_ = std::stoul(std::string(head.find("x-bytes").value_or("0")));
    if (auto sent = head.find("x-token"); !sent || *sent != std::to_string(token_))
      storm_.blame("a head made of two requests");
    if (method_ == http::Method::post && ++storm_.posts_seen[token_] > 1) storm_.blame("a POST was sent twice");
    if (storm_.chance(4)) return reset();                      // dies on the head
    if (storm_.chance(3)) return half_close();                 // or just ends
    if (storm_.chance(5) && head.has_body()) return answer();  // without waiting for the body
    if (expects_continue_ && storm_.chance(80)) peer_.send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  void on_request_body(std::span<const char> bytes) override {
    if (!is_body_of(token_, body_read_, bytes)) storm_.blame("the body of another request");
    body_read_ += bytes.size();
  }
  void on_request_trailers(std::span<const http::Field>) override {}
  void on_request_complete() override {
    is_whole_ = true;
    if (!peer_.is_open() || has_ended_) return;
    if (body_read_ != body_bytes_) storm_.blame("a body of another length");
    if (is_answering_) {
      if (later_.empty()) finish();
      return;
    }
    if (storm_.chance(3)) return;  // never answers
    if (upgrades_ && storm_.chance(60)) return open_tunnel();
    answer();
  }

  void open_tunnel() {
    is_tunnel_ = true;
    body_read_ = 0;
    peer_.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: storm\r\nX-Token: " +
               std::to_string(token_) + "\r\n\r\n" + body_of(token_, storm_.random.below(100)));
    later_.clear();
  }

  void answer() {
    is_answering_ = true;
    const std::string token = "X-Token: " + std::to_string(token_) + "\r\n";
    const bool has_body = method_ != http::Method::head;
    std::size_t bytes = storm_.chance(10) ? storm_.random.below(300'000) : storm_.random.below(3'000);
    std::string body = body_of(token_, bytes), text;
    if (storm_.chance(5)) text += "HTTP/1.1 103 Early Hints\r\n" + token + "\r\n";
    end_ = End::keep;
    switch (storm_.random.below(8)) {
      case 0:  // in chunks
        text += "HTTP/1.1 200 OK\r\n" + token + "Transfer-Encoding: chunked\r\n\r\n";
        if (has_body) text += chunks(body);
        break;
      case 1:  // until the end
        text += "HTTP/1.1 200 OK\r\n" + token + "\r\n";
        if (has_body) text += body;
        end_ = End::close;
        break;
      case 2:
        text += "HTTP/1.1 204 No Content\r\n" + token + "\r\n";
        break;
      case 3:
        text += "HTTP/1.1 304 Not Modified\r\n" + token + "Content-Length: 77\r\n\r\n";
        break;
      default: {
        bool closes = storm_.chance(10);
        text += "HTTP/1.1 " + std::string(storm_.chance(5) ? "503 Busy" : "200 OK") + "\r\n" + token +
                (closes ? "Connection: close\r\n" : "") + "Content-Length: " + std::to_string(bytes) + "\r\n\r\n";
        if (has_body) text += body;
        if (closes) end_ = End::close;
      }
    }
    // What a broken or hostile endpoint adds: nobody may get it. (At once: what comes later may meet the next request
    // on its connection, and then HTTP/1.1 gives nobody the means to tell.)
    bool is_evil = end_ == End::keep && text.size() < 4000 && storm_.chance(5);
    if (is_evil) text += "HTTP/1.1 200 OK\r\nX-Token: evil\r\nContent-Length: 4\r\n\r\nevil";
    if (storm_.chance(5)) {  // cut somewhere
      text.resize(storm_.random.below(text.size()));
      end_ = storm_.chance(50) ? End::reset : End::close;
    }
    if (is_evil || storm_.chance(70) || text.size() > 100'000) {
      peer_.send(text);
      return finish();
    }
    later_ = std::move(text);
    if (later_.empty()) finish();
  }
  std::string chunks(std::string_view body) {
    std::string text;
    while (!body.empty()) {
      std::size_t bytes = 1 + storm_.random.below(std::min<std::size_t>(body.size(), 5000));
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", bytes);
      text += size + std::string(body.substr(0, bytes)) + "\r\n";
      body.remove_prefix(bytes);
    }
    return text + "0\r\n\r\n";
  }
  void finish() {
    if (end_ == End::reset) return reset();
    if (end_ == End::close) return half_close();
    if (!is_whole_) return;  // the rest of the body is still to be read
    is_busy_ = is_answering_ = false;
    if (storm_.chance(3)) half_close();  // kept for a moment only
  }
  void half_close() {
    has_ended_ = is_busy_ = true;
    peer_.half_close();
  }
  void reset() {
    has_ended_ = is_busy_ = true;
    peer_.reset();
  }

  Storm& storm_;
  Peer& peer_;
  http::Limits limits_;
  http::RequestParser parser_;
  std::uint64_t token_ = 0;
  http::Method method_ = http::Method::get;
  std::size_t body_read_ = 0, body_bytes_ = 0;
  bool is_busy_ = false, is_whole_ = true, is_answering_ = false, expects_continue_ = false, has_ended_ = false;
  bool upgrades_ = false, is_tunnel_ = false;
  End end_ = End::keep;
  std::string later_;
};

// One connection of a client with a handful of requests, sent in pieces, and what must come for them.
class ClientSide final : public http::ResponseListener {
 public:
  ClientSide(Storm& storm, Harness& harness) : storm_(storm), harness_(harness), parser_(*this, limits_) {
    std::size_t count = 1 + storm_.random.below(storm_.chance(30) ? 6 : 2);
    for (std::size_t i = 0; i < count; ++i) {
      requests_.push_back(make_request());
      to_send_ += requests_.back().text;
      if (requests_.back().upgrades) break;  // what follows might be the tunnel's
    }
    peer_.on_data = [this](Peer&) { on_data(); };
    peer_.connect(harness_.loop, harness_.address());
  }

  // A step of its own; false: it is done and may be destroyed.
  bool tick() {
    if (!peer_.is_connected) return !peer_.is_over() || finish();
    if (peer_.is_over()) return finish();
    if (is_tunnel_) return tick_tunnel();
    if (requests_.empty()) return false;
    if (is_stalled_ && storm_.chance(30)) {
      is_stalled_ = false;
      peer_.start_reading();
    }
    if (storm_.chance(1)) return vanish();
    if (storm_.chance(2) && !is_stalled_) {
      is_stalled_ = true;
      peer_.stop_reading();
    }
    if (!to_send_.empty() && peer_.queued_bytes() == 0) {
      std::size_t bytes = storm_.chance(60) ? to_send_.size() : 1 + storm_.random.below(to_send_.size());
      peer_.send(to_send_.substr(0, bytes));
      to_send_.erase(0, bytes);
      if (to_send_.empty() && storm_.chance(10)) peer_.half_close();
    }
    return true;
  }

 private:
  bool tick_tunnel() {
    if (storm_.chance(2)) return vanish();
    if (std::exchange(has_spoken_, true)) return true;
    peer_.send(body_of(tunnel_token_, storm_.random.below(100'000)));
    if (storm_.chance(50)) peer_.half_close();
    return true;
  }
  Request make_request() {
    Request one;
    one.token = storm_.next_token++;
    switch (storm_.random.below(6)) {
      case 0:
        one.method = http::Method::post;
        break;
      case 1:
        one.method = http::Method::put;
        break;
      case 2:
        one.method = http::Method::head;
        break;
      default:
        break;
    }
    if (storm_.chance(10)) one.minor_version = 0;
    const std::string version = one.minor_version == 0 ? "HTTP/1.0\r\nConnection: keep-alive" : "HTTP/1.1";
    const std::string token = std::to_string(one.token);
    const bool has_body = one.method == http::Method::post || one.method == http::Method::put;
    if (has_body) one.body_bytes = storm_.chance(10) ? storm_.random.below(400'000) : storm_.random.below(2'000);
    std::string body = body_of(one.token, one.body_bytes);
    const char* method = one.method == http::Method::post   ? "POST "
                         : one.method == http::Method::put  ? "PUT "
                         : one.method == http::Method::head ? "HEAD "
                                                            : "GET ";
    one.text = method +
               std::string(storm_.chance(3)    ? "/nowhere"
                           : storm_.chance(20) ? "/retried"
                                               : "/app") +
               "/t/" + token + " " + version + "\r\nHost: x\r\nX-Token: " + token +
               "\r\nX-Bytes: " + std::to_string(one.body_bytes) + "\r\n";
    if (has_body && storm_.chance(10)) one.text += "Expect: 100-continue\r\n";  // and does not wait
    if (storm_.chance(4)) one.text += "Connection: close\r\n";
    one.upgrades = one.method == http::Method::get && one.minor_version == 1 && storm_.chance(15);
    if (one.upgrades) one.text += "Connection: Upgrade\r\nUpgrade: storm\r\n";
    if (!has_body) {
      one.text += "\r\n";
    } else if (one.minor_version == 1 && storm_.chance(40)) {
      one.text += "Transfer-Encoding: chunked\r\n\r\n";
      std::string_view left = body;
      while (!left.empty()) {
        std::size_t bytes = 1 + storm_.random.below(std::min<std::size_t>(left.size(), 30'000));
        char size[20];
        std::snprintf(size, sizeof size, "%zx\r\n", bytes);
        one.text += size + std::string(left.substr(0, bytes)) + "\r\n";
        left.remove_prefix(bytes);
      }
      one.text += storm_.chance(2) ? "zz\r\n" : "0\r\n\r\n";
    } else {
      one.text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    return one;
  }

  void on_data() {
    std::string bytes = std::move(peer_.received);
    peer_.received.clear();
    std::string_view left = bytes;
    while (!left.empty()) {
      if (is_tunnel_) {
        if (!is_body_of(tunnel_token_, body_read_, left)) storm_.blame("the bytes of another tunnel");
        body_read_ += left.size();
        return;
      }
      if (requests_.empty()) return storm_.blame("an answer that nobody asked for: " + std::string(left.substr(0, 80)));
      if (!is_expecting_) parser_.expect(requests_.front().method, requests_.front().upgrades ? "storm" : "");
      is_expecting_ = true;
      http::FeedResult fed = parser_.feed(left);
      left.remove_prefix(fed.consumed);
      if (fed.error) return storm_.blame(std::string("an answer that does not parse: ") + fed.error.reason);
    }
  }
  void on_response_head(const http::ResponseHead& head) override {
    const Request& asked = requests_.front();
    auto token = head.find("x-token");
    body_read_ = 0;
    is_ours_ = !token;
    if (token && *token != std::to_string(asked.token))
      storm_.blame("the answer to " + std::string(*token) + " went to " + std::to_string(asked.token));
    if (head.status == 101) {
      is_tunnel_ = true;
      tunnel_token_ = asked.token;
      ++storm_.tunnels;
      return;
    }
    if (head.status < 200) {
      if (asked.minor_version == 0) storm_.blame("an interim answer to HTTP/1.0");
      return;
    }
    is_in_answer_ = true;
    if (asked.minor_version == 0 && head.is_chunked) storm_.blame("chunks to HTTP/1.0");
    static constexpr int kOurs[] = {400, 404, 408, 502, 503, 504};
    if (!token && std::find(std::begin(kOurs), std::end(kOurs), head.status) == std::end(kOurs))
      storm_.blame("an answer without a token: " + std::to_string(head.status));
  }
  void on_response_body(std::span<const char> bytes) override {
    if (!is_ours_ && !is_body_of(requests_.front().token, body_read_, bytes))
      storm_.blame("the body of another answer");
    body_read_ += bytes.size();
  }
  void on_response_trailers(std::span<const http::Field>) override {}
  void on_response_complete() override {
    ++(is_ours_ ? storm_.answered_by_us : storm_.answered);
    requests_.pop_front();
    is_expecting_ = is_in_answer_ = false;
  }

  bool vanish() {
    if (storm_.chance(50)) {
      peer_.reset();
    } else {
      peer_.close();
    }
    return false;
  }
  bool finish() {
    if (peer_.has_ended) parser_.finish();  // a body that ends with the connection
    if (is_in_answer_) ++storm_.cut;
    return false;
  }

  Storm& storm_;
  Harness& harness_;
  Peer peer_;
  http::Limits limits_;
  http::ResponseParser parser_;
  std::deque<Request> requests_;
  std::string to_send_;
  std::size_t body_read_ = 0;
  bool is_expecting_ = false, is_in_answer_ = false, is_ours_ = false, is_stalled_ = false;
  bool is_tunnel_ = false, has_spoken_ = false;
  std::uint64_t tunnel_token_ = 0;
};

class StressTest : public ::testing::Test {
 protected:
  void prepare() {
    auto& config = harness->config;
    config.timeouts.stream_idle = config.timeouts.first_byte = 300ms;
    config.timeouts.downstream_idle = config.timeouts.queue = 300ms;
    config.timeouts.header = config.timeouts.tunnel_idle = 300ms;
    config.timeouts.linger = 200ms;
    config.limits.upstream_connections_per_endpoint_max = 3;
    RouteConfig route;
    route.match.path = "/retried";
    route.to.push_back({{"/app", ""}, 1});
    route.retry = RetryPolicy{.attempts = 3, .when_statuses = {{503, 503}}, .per_try = 100ms};
    config.routes.push_back(route);
    harness->start();
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      backends.push_back(std::make_unique<Backend>(harness->loop, "task-" + std::to_string(i)));
      backends.back()->script = [this](Peer& peer) {
        auto& side = sides[&peer];
        if (!side) side = std::make_unique<EndpointSide>(*storm, peer);
        side->on_data();
      };
      harness->apply({Harness::endpoint("/app", *backends.back())});
    }
  }
  void change_the_table() {
    model::Endpoint one = Harness::endpoint("/app", *backends[storm->random.below(kEndpoints)]);
    switch (storm->random.below(4)) {
      case 0:
        return harness->proxy->apply_endpoints({{}, {one}, false}, [] {});
      case 1:
        one.state = model::EndpointState::draining;
        break;
      case 2:
        one.state = model::EndpointState::down;
        break;
      default:
        break;
    }
    harness->proxy->apply_endpoints({{one}, {}, false}, [] {});
  }

  void run(std::uint64_t seed) {
    SCOPED_TRACE("LOTSE_STRESS_SEED=" + std::to_string(seed));
    const std::size_t descriptors = open_descriptors();
    storm = std::make_unique<Storm>(seed);
    harness = std::make_unique<Harness>();
    prepare();
    rage();
    calm();
    for (const std::string& fault : storm->faults) ADD_FAILURE() << fault;
    sides.clear();
    backends.clear();
    harness.reset();
    EXPECT_EQ(open_descriptors(), descriptors);
    std::printf("seed %lu: %zu answers, %zu of ours, %zu cut, %zu tunnels\n", static_cast<unsigned long>(seed),
                storm->answered, storm->answered_by_us, storm->cut, storm->tunnels);
  }
  void rage() {
    std::vector<std::unique_ptr<ClientSide>> clients;
    std::size_t begun = 0;
    ASSERT_TRUE(harness->run_until([&] {
      std::erase_if(clients, [](const auto& one) { return !one->tick(); });
      while (clients.size() < kClients && begun < kConnectionsPerSeed) {
        clients.push_back(std::make_unique<ClientSide>(*storm, *harness));
        ++begun;
      }
      for (auto& [peer, side] : sides) side->tick();
      if (storm->chance(2)) change_the_table();
      if (storm->chance(1)) static_cast<void>(harness->reload());
      return clients.empty() || !storm->faults.empty();
    })) << clients.size()
        << " clients are stuck";
  }
  // All have gone: nothing may be left but pooled connections.
  void calm() {
    auto in_flight = [&] {
      std::uint64_t sum = 0;
      for (auto& one : backends) sum += harness->proxy->in_flight(one->name());
      return sum;
    };
    EXPECT_TRUE(harness->run_until([&] { return harness->metric("lotse_downstream_connections") == 0; }));
    EXPECT_TRUE(harness->run_until([&] { return in_flight() == 0; })) << in_flight();
    for (auto& one : backends) one->die();
    EXPECT_TRUE(harness->run_until([&] { return harness->metric("lotse_upstream_connections") == 0; }));
  }

  std::unique_ptr<Storm> storm;
  std::unique_ptr<Harness> harness;
  std::vector<std::unique_ptr<Backend>> backends;
  std::map<Peer*, std::unique_ptr<EndpointSide>> sides;
};

TEST_F(StressTest, NoAnswerEverGoesToAnotherRequestAndNothingIsLeft) {
  { Harness().start(); }  // libuv keeps a pair of descriptors from the first loop on
  if (const char* one = std::getenv("LOTSE_STRESS_SEED")) return run(std::stoull(one));
  std::uint64_t seeds = 5;
  if (const char* more = std::getenv("LOTSE_STRESS_SEEDS")) seeds += std::stoull(more);
  for (std::uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) run(seed);
}

}  // namespace
}  // namespace lotse::proxy::test
