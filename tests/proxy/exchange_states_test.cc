// Every state an exchange can be in, and everything that can happen to it there: the table of docs/exchange.md. Each
// case ends with the same questions: is nothing in flight, is nothing left open, does the next request work?
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <optional>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

enum class State { waiting, confirming, connecting, sending, uploading, responding, tunnel };
enum class Event {
  client_ends,
  client_resets,
  endpoint_ends,
  endpoint_resets,
  endpoint_goes,
  endpoint_drains,
  route_goes,
  process_drains,
  time_is_up
};
constexpr const char* kStates[] = {"Waiting",   "Confirming", "Connecting", "Sending",
                                   "Uploading", "Responding", "Tunnel"};
constexpr const char* kEvents[] = {"ClientEnds",     "ClientResets", "EndpointEnds",  "EndpointResets", "EndpointGoes",
                                   "EndpointDrains", "RouteGoes",    "ProcessDrains", "TimeIsUp"};

// What comes of it. "Goes on": when the endpoint (or whoever is waited for) is ready at last, the client has its
// answer.
enum class Outcome {
  none,        // cannot happen there
  goes_on,     // the client gets the whole answer
  gone,        // the client has left: the endpoint's side ends at once
  answered,    // by us: see the status
  truncated,   // the answer ends early, visibly
  half_open,   // a tunnel of which one direction has ended
  reset_both,  // a tunnel that is cut
};
struct Expected {
  Outcome outcome = Outcome::none;
  int status = 0;
};
using enum Outcome;

Expected expected(State state, Event event) {
  // client_ends, client_resets, endpoint_ends, endpoint_resets, endpoint_goes, endpoint_drains, route_goes,
  // process_drains, time_is_up
  static const std::map<State, std::vector<Expected>> kTable = {
      {State::waiting,
       {{goes_on},
        {gone},
        {goes_on},
        {goes_on},
        {answered, 503},
        {answered, 503},
        {answered, 503},
        {goes_on},
        {answered, 503}}},
      {State::confirming, {{goes_on}, {gone}, {}, {}, {answered, 503}, {goes_on}, {goes_on}, {goes_on}, {goes_on}}},
      {State::connecting, {{goes_on}, {gone}, {}, {}, {goes_on}, {goes_on}, {goes_on}, {goes_on}, {answered, 503}}},
      {State::sending,
       {{goes_on},
        {gone},
        {answered, 502},
        {answered, 502},
        {goes_on},
        {goes_on},
        {goes_on},
        {goes_on},
        {answered, 504}}},
      {State::uploading,
       {{gone}, {gone}, {answered, 502}, {answered, 502}, {goes_on}, {goes_on}, {goes_on}, {goes_on}, {answered, 408}}},
      {State::responding,
       {{goes_on}, {gone}, {truncated}, {truncated}, {goes_on}, {goes_on}, {goes_on}, {goes_on}, {truncated}}},
      {State::tunnel,
       {{half_open},
        {reset_both},
        {half_open},
        {reset_both},
        {goes_on},
        {goes_on},
        {goes_on},
        {goes_on},
        {reset_both}}},
  };
  return kTable.at(state)[static_cast<std::size_t>(event)];
}

// A port that takes no more connections, and refuses none: its queue is full.
class FullPort {
 public:
  FullPort() {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(listen(listener_, 0), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &length), 0);
    port = ntohs(at.sin_port);
    for (int& one : fillers_) {
      one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      static_cast<void>(::connect(one, reinterpret_cast<sockaddr*>(&at), sizeof at));
    }
  }
  ~FullPort() {
    make_room();
    ::close(listener_);
  }
  void make_room() {  // whoever waits is accepted by the kernel, and answered by nobody
    for (int& one : fillers_) {
      if (one >= 0) ::close(std::exchange(one, -1));
    }
  }
  std::uint16_t port = 0;

 private:
  int listener_ = -1;
  int fillers_[4] = {-1, -1, -1, -1};
};

class ExchangeStates : public ::testing::TestWithParam<std::tuple<State, Event>> {
 protected:
  State state() const { return std::get<0>(GetParam()); }
  Event event() const { return std::get<1>(GetParam()); }

  void SetUp() override {
    harness.config.workers = 1;
    harness.config.expose = {};
    add_route("/app", "/app");
    add_route("/next", "/next");
    if (state() == State::waiting) harness.config.limits.upstream_connections_per_endpoint_max = 1;
    auto& timeouts = harness.config.timeouts;
    timeouts.connect = event() == Event::time_is_up ? 100ms : 10s;
    if (event() == Event::time_is_up) {
      timeouts.queue = timeouts.first_byte = timeouts.stream_idle = timeouts.tunnel_idle = 100ms;
      if (state() == State::waiting) timeouts.first_byte = 10s;  // of the request in front
    }
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    next = std::make_unique<Backend>(harness.loop, "next");
    backend->script = [](Peer&) {};
    endpoint = Harness::endpoint("/app", *backend);
    if (state() == State::connecting) {
      full = std::make_unique<FullPort>();
      endpoint.host_port = full->port;
    }
    if (state() == State::confirming) {
      endpoint.agent = "127.0.0.1:5051";
      harness.confirmer.is_mute = true;
      harness.proxy->set_fresh_until(harness.loop.clock().now() - 1ms);
    }
    harness.apply({endpoint, Harness::endpoint("/next", *next)});
    reach();
  }
  void add_route(const std::string& path, const std::string& app) {
    RouteConfig route;
    route.match.path = path;
    route.to.push_back({{app, ""}, 1});
    harness.config.routes.push_back(route);
  }

  void reach() {
    client = harness.connect();
    const std::string get = "GET /app HTTP/1.1\r\nHost: x\r\n";
    switch (state()) {
      case State::waiting:
        first = harness.connect();
        first->send(get + "\r\n");
        ASSERT_TRUE(run_until([&] { return has_head(); }));
        client->send(get + "\r\n");
        ASSERT_TRUE(run_until([&] { return harness.metric("lotse_downstream_bytes_in_total") == 2 * get.size() + 4; }));
        return;
      case State::confirming:
        client->send(get + "\r\n");
        ASSERT_TRUE(run_until([&] { return harness.confirmer.waiting.size() == 1; }));
        return;
      case State::connecting:
        client->send(get + "\r\n");
        ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_connections") == 1; }));
        return;
      case State::sending:
        client->send(get + "\r\n");
        break;
      case State::uploading:
        client->send("PUT /app HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf");
        break;
      case State::responding:
        client->send(get + "\r\n");
        ASSERT_TRUE(run_until([&] { return has_head(); }));
        upstream().send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
        ASSERT_TRUE(run_until([&] { return client->received.ends_with("half"); }));
        return;
      case State::tunnel:
        client->send(get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        ASSERT_TRUE(run_until([&] { return has_head(); }));
        upstream().send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
        ASSERT_TRUE(run_until([&] { return client->received.ends_with("hi"); }));
        return;
    }
    ASSERT_TRUE(run_until([&] { return has_head() && (state() != State::uploading || ends_with("half")); }));
  }
  bool has_head() { return !backend->peers.empty() && upstream().received.find("\r\n\r\n") != std::string::npos; }
  bool ends_with(const char* text) { return upstream().received.ends_with(text); }
  Peer& upstream() { return *backend->peers.back(); }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }

  void happen() {
    switch (event()) {
      case Event::client_ends:
        client->half_close();
        break;
      case Event::client_resets:
        client->reset();
        break;
      case Event::endpoint_ends:
        upstream().half_close();
        break;
      case Event::endpoint_resets:
        upstream().reset();
        break;
      case Event::endpoint_goes:
        harness.apply({}, {endpoint});
        break;
      case Event::endpoint_drains:
        endpoint.state = model::EndpointState::draining;
        harness.apply({endpoint});
        break;
      case Event::route_goes:
        harness.config.routes.erase(harness.config.routes.begin());
        ASSERT_TRUE(harness.reload());
        ASSERT_TRUE(run_until([&] { return harness.proxy->is_ready(); }));
        harness.apply({});  // behind the reload in every worker's queue
        break;
      case Event::process_drains:
        harness.proxy->drain(20s, [this] { is_drained = true; });
        break;
      case Event::time_is_up:
        break;
    }
  }

  // Whoever the exchange waits for is ready now.
  void go_on() {
    auto answer = [this](Peer& peer) { backend->answer_all(peer, Backend::ok("a")); };
    switch (state()) {
      case State::waiting:
        backend->script = answer;
        if (event() != Event::endpoint_ends && event() != Event::endpoint_resets) answer(upstream());
        break;
      case State::confirming:
        backend->script = answer;
        if (event() != Event::time_is_up) harness.confirmer.waiting.front()(Confirmation::confirmed);
        break;
      case State::connecting:
        full->make_room();
        break;
      case State::sending:
        upstream().send(Backend::ok("a"));
        break;
      case State::uploading:
        client->send("done");
        ASSERT_TRUE(run_until([&] { return upstream().received.ends_with("halfdone"); }));
        upstream().send(Backend::ok("a"));
        break;
      case State::responding:
        upstream().send("done");
        break;
      case State::tunnel:
        client->send("ping");
        ASSERT_TRUE(run_until([&] { return upstream().received.ends_with("ping"); }));
        upstream().send("pong");
        ASSERT_TRUE(run_until([&] { return client->received.ends_with("pong"); }));
        client->half_close();
        ASSERT_TRUE(run_until([&] { return upstream().has_ended; }));
        upstream().half_close();
        break;
    }
  }

  void check_outcome() {
    Expected wanted = expected(state(), event());
    switch (wanted.outcome) {
      case none:
        return;
      case goes_on:
        if (state() == State::connecting) return check_that_it_connects();
        go_on();
        if (state() == State::tunnel) {
          EXPECT_TRUE(run_until([&] { return client->has_ended; }));
          return;
        }
        ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(client->received) || client->is_over(); }));
        EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 ")) << client->received;
        EXPECT_TRUE(Harness::is_response_whole(client->received)) << client->received;
        if (event() == Event::client_ends) {
          ASSERT_TRUE(run_until([&] { return client->is_over(); }));
          EXPECT_TRUE(client->has_ended);
        }
        return;
      case gone:
        EXPECT_EQ(client->received, state() == State::responding ? client->received : "");
        if (state() >= State::sending) {
          ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
        }
        return;
      case answered:
        ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(client->received); }));
        EXPECT_TRUE(client->received.starts_with("HTTP/1.1 " + std::to_string(wanted.status))) << client->received;
        return;
      case truncated:
        ASSERT_TRUE(run_until([&] { return client->is_over(); }));
        EXPECT_TRUE(client->received.ends_with("half")) << client->received;
        ASSERT_TRUE(run_until([&] { return upstream().is_over() || !upstream().is_open(); }));
        return;
      case half_open:
        return check_half_open();
      case reset_both:
        if (event() != Event::client_resets) {
          ASSERT_TRUE(run_until([&] { return client->is_over(); }));
          EXPECT_TRUE(client->has_failed);
        }
        if (event() != Event::endpoint_resets) {
          ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
          EXPECT_TRUE(upstream().has_failed);
        }
        return;
    }
  }
  // The kernel takes the connection when there is room, and nobody answers on it.
  void check_that_it_connects() {
    go_on();
    ASSERT_TRUE(run_until([&] { return harness.proxy->in_flight("a") == 1; }));
    EXPECT_EQ(client->received, "");
    client->reset();
  }
  void check_half_open() {
    Peer& ended = event() == Event::client_ends ? *client : upstream();
    Peer& other = event() == Event::client_ends ? upstream() : *client;
    ASSERT_TRUE(run_until([&] { return other.has_ended; }));
    other.send("still here");
    ASSERT_TRUE(run_until([&] { return ended.received.ends_with("still here"); }));
    EXPECT_EQ(harness.proxy->in_flight("a"), 1U);
    other.half_close();
    ASSERT_TRUE(run_until([&] { return ended.has_ended; }));
  }

  void check_that_nothing_is_left() {
    if (first) {
      if (!first->is_over() && backend->requests == 0 && backend->peers.front()->is_open())
        backend->peers.front()->send(Backend::ok("first"));
      ASSERT_TRUE(run_until([&] { return !first->received.empty() || first->is_over(); }));
      first->close();
    }
    client->close();
    EXPECT_TRUE(run_until([&] { return harness.proxy->in_flight("a") == 0; }));
    if (event() == Event::process_drains) {
      EXPECT_TRUE(run_until([&] { return is_drained; }));
      return;
    }
    std::string again = harness.get("/next");
    EXPECT_TRUE(again.ends_with("\r\n\r\nnext")) << again;
    // One in each pool at most, none of a request that failed.
    EXPECT_TRUE(run_until([&] { return harness.metric("lotse_downstream_connections") == 0; }));
    const bool is_whole = expected(state(), event()).outcome == goes_on && state() != State::connecting &&
                          state() != State::tunnel && event() != Event::endpoint_goes &&
                          event() != Event::endpoint_drains;
    EXPECT_LE(harness.metric("lotse_upstream_connections"), is_whole || first ? 2U : 1U);
  }

  Harness harness;
  std::unique_ptr<Backend> backend, next;
  std::unique_ptr<FullPort> full;
  model::Endpoint endpoint;
  std::unique_ptr<Peer> client, first;
  bool is_drained = false;
};

TEST_P(ExchangeStates, EndAsTheTableSays) {
  happen();
  if (HasFatalFailure()) return;
  check_outcome();
  if (HasFatalFailure()) return;
  check_that_nothing_is_left();
}

std::vector<std::tuple<State, Event>> all_that_can_happen() {
  std::vector<std::tuple<State, Event>> all;
  for (int state = 0; state <= static_cast<int>(State::tunnel); ++state) {
    for (int event = 0; event <= static_cast<int>(Event::time_is_up); ++event) {
      auto one = std::make_tuple(static_cast<State>(state), static_cast<Event>(event));
      if (expected(std::get<0>(one), std::get<1>(one)).outcome != none) all.push_back(one);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, ExchangeStates, ::testing::ValuesIn(all_that_can_happen()), [](const auto& one) {
  return std::string(kStates[static_cast<std::size_t>(std::get<0>(one.param))]) +
         kEvents[static_cast<std::size_t>(std::get<1>(one.param))];
});

}  // namespace
}  // namespace lotse::proxy::test
