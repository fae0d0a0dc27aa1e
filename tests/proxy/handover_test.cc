// The old side of a takeover against a successor played by the test: every way in which one can fail leaves the old
// process serving, and every message at the wrong time is such a failure. And the words they use.
#include "proxy/handover.h"

#include <sys/socket.h>

#include "tests/fuzz_corpus.h"
#include "tests/proxy/harness.h"
#include "tests/temporary_folder.h"

extern "C" int fuzz_takeover_message(const std::uint8_t* data, std::size_t size);

namespace lotse::proxy::test {
namespace {

using Kind = TakeoverMessage::Kind;

class FakeOwner final : public HandoverOwner {
 public:
  void save_tables(std::function<void()> on_saved) override { on_saved(); }
  TakeoverGoods copies_of_goods() override {
    TakeoverGoods goods;
    goods.lock = some_socket();
    goods.ticket_keys = "keys";
    goods.takeovers = 6;
    for (int i = 0; i < 70; ++i) web.push_back(some_socket());  // more than one message takes
    goods.listeners.emplace_back("0.0.0.0:80", std::move(web));
    goods.admin_address = "127.0.0.1:9901";
    goods.admin = some_socket();
    return goods;
  }
  Duration takeover_timeout() const override { return timeout; }
  void on_yield(const TakeoverMessage& ready) override {
    adopted = ready.adopted;
    is_accepting = false;
  }
  void on_take_back() override { is_accepting = true; }
  void on_trial_over(pid_t) override { is_leaving = true; }
  void on_takeover_failed(const std::string& why) override { failures.push_back(why); }

  static net::UniqueFd some_socket() { return net::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
  Duration timeout = 10s;
  std::vector<net::UniqueFd> web;
  bool is_accepting = true, is_leaving = false;
  std::vector<std::string> adopted, failures;
};

class HandoverTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(handover.listen()); }
  void connect() {
    net::DescriptorChannel::Callbacks callbacks;
    callbacks.on_message = [this](std::string_view text, std::vector<net::UniqueFd> descriptors) {
      auto message = parse_takeover_message(text);
      ASSERT_TRUE(message) << text;
      received.push_back(*message);
      sockets += descriptors.size();
    };
    callbacks.on_closed = [this] { is_closed = true; };
    auto channel = net::DescriptorChannel::connect(loop, path, callbacks);
    ASSERT_TRUE(channel);
    successor = std::move(*channel);
  }
  void say(Kind kind) {
    TakeoverMessage message;
    message.kind = kind;
    message.adopted = {"0.0.0.0:80"};
    message.why = "no reason";
    if (kind != Kind::ready) message.adopted.clear();
    successor->send(serialize(message), {});
  }
  bool hears(Kind kind) {
    return run_until([&] { return !received.empty() && received.back().kind == kind; });
  }
  bool run_until(const std::function<bool()>& is_true) {
    bool is_late = false;
    net::Timer deadline(loop.timers(), [&] { is_late = true; }), pulse(loop.timers(), [] {});
    deadline.start(10s);
    while (!is_true() && !is_late) {
      pulse.start(1ms);
      loop.run_once();
    }
    return !is_late;
  }
  void come_to(Kind last) {
    connect();
    say(Kind::hello);
    ASSERT_TRUE(hears(Kind::complete));
    if (last == Kind::complete) return;
    say(Kind::ready);
    ASSERT_TRUE(hears(Kind::yours));
    if (last == Kind::yours) return;
    say(Kind::done);
  }
  void expect_it_serves_on(std::size_t failures = 1) {
    EXPECT_TRUE(run_until([&] { return owner.failures.size() == failures; }));
    EXPECT_TRUE(owner.is_accepting);
    EXPECT_FALSE(owner.is_leaving);
    EXPECT_FALSE(handover.is_under_way());
    successor.reset();
    connect();  // and the next one is listened to
    say(Kind::hello);
    EXPECT_TRUE(hears(Kind::complete));
  }

  net::Loop loop;
  TemporaryFolder folder;
  const std::string path = folder.path() + "/takeover.sock";
  FakeOwner owner;
  Handover handover{loop, path, "1.2.3", owner, {.yield_max = 50ms, .trial = 100ms}};
  std::unique_ptr<net::DescriptorChannel> successor;
  std::vector<TakeoverMessage> received;
  std::size_t sockets = 0;
  bool is_closed = false;
};

TEST_F(HandoverTest, HandsEverythingOverStopsAcceptingWhenTheSuccessorIsReadyAndLeavesAfterTheTrial) {
  come_to(Kind::complete);
  EXPECT_TRUE(owner.is_accepting);
  EXPECT_EQ(sockets, 72U);
  EXPECT_EQ(received.front().kind, Kind::offer);
  EXPECT_EQ(received.front().ticket_keys, "keys");
  EXPECT_EQ(received.front().takeovers, 6U);
  say(Kind::ready);
  ASSERT_TRUE(hears(Kind::yours));
  EXPECT_FALSE(owner.is_accepting);
  EXPECT_EQ(owner.adopted, std::vector<std::string>{"0.0.0.0:80"});
  say(Kind::done);
  ASSERT_TRUE(hears(Kind::main));
  EXPECT_TRUE(owner.is_leaving);
  EXPECT_TRUE(owner.failures.empty());
}

TEST_F(HandoverTest, ANewProcessThatIsNotReadyInTimeIsRefusedAndNothingHasChanged) {
  owner.timeout = 30ms;
  come_to(Kind::complete);
  ASSERT_TRUE(hears(Kind::refused));
  owner.timeout = 10s;
  expect_it_serves_on();
}

TEST_F(HandoverTest, ANewProcessThatSaysNothingIsGivenUpToo) {
  owner.timeout = 30ms;
  connect();
  ASSERT_TRUE(hears(Kind::refused));
  EXPECT_TRUE(owner.is_accepting);
}

TEST_F(HandoverTest, ANewProcessThatDoesNotBeginToAcceptIsRefusedAndItServesOn) {
  come_to(Kind::yours);
  ASSERT_TRUE(hears(Kind::refused));
  expect_it_serves_on();
}

TEST_F(HandoverTest, ANewProcessThatEndsBeforeDuringOrAfterLeavesTheOldOneServing) {
  std::size_t failures = 0;
  for (Kind last : {Kind::complete, Kind::yours, Kind::done}) {
    come_to(last);
    successor.reset();
    EXPECT_TRUE(run_until([&] { return owner.failures.size() == failures + 1; }));
    EXPECT_TRUE(owner.is_accepting) << failures;
    ++failures;
  }
  come_to(Kind::done);  // after its trial, as long as we are there
  ASSERT_TRUE(run_until([&] { return owner.is_leaving; }));
  owner.is_leaving = false;
  successor.reset();
  expect_it_serves_on(4);
}

TEST_F(HandoverTest, ASuccessorThatHandsOnItselfIsNotTakenForOneThatDied) {
  come_to(Kind::done);
  say(Kind::released);
  successor.reset();
  ASSERT_TRUE(run_until([&] { return owner.is_leaving; }));
  EXPECT_FALSE(owner.is_accepting);
  EXPECT_TRUE(owner.failures.empty());
}

TEST_F(HandoverTest, AMessageOutOfOrderOrOfAnotherFormEndsTheTakeover) {
  std::size_t failures = 0;
  for (Kind wrong : {Kind::done, Kind::ready, Kind::yours, Kind::offer, Kind::released, Kind::refused}) {
    connect();
    say(wrong);
    ++failures;
    ASSERT_TRUE(run_until([&] { return owner.failures.size() == failures; }));
    successor.reset();
  }
  connect();
  successor->send("{\"kind\":", {});
  expect_it_serves_on(failures + 1);
}

TEST_F(HandoverTest, ASuccessorThatSpeaksOnlyLaterFormatsIsRefused) {
  connect();
  TakeoverMessage hello;
  hello.kind = Kind::hello;
  hello.format_least = kTakeoverFormatMost + 1;
  hello.format_most = kTakeoverFormatMost + 3;
  successor->send(serialize(hello), {});
  ASSERT_TRUE(hears(Kind::refused));
  expect_it_serves_on();
}

TEST_F(HandoverTest, ASecondOneIsRefusedWhileTheFirstIsUnderWay) {
  come_to(Kind::complete);
  auto first = std::move(successor);
  received.clear();
  connect();
  ASSERT_TRUE(hears(Kind::refused));
  successor = std::move(first);
  say(Kind::ready);
  EXPECT_TRUE(hears(Kind::yours));
}

TEST(TakeoverMessage, MembersAndKindsOfLaterVersionsAreIgnored) {
  auto hello = parse_takeover_message(R"({"kind":"hello","formats":{"least":1,"most":9},"colour":[1]})");
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->format_most, 9);
  auto later = parse_takeover_message(R"({"kind":"sing"})");
  ASSERT_TRUE(later);
  EXPECT_EQ(later->kind, Kind::unknown);
}

TEST(TakeoverMessage, WhatIsKnownMustBeAsWeKnowIt) {
  for (const char* text :
       {"", "[]", "{}", R"({"kind":7})", R"({"kind":"hello"})", R"({"kind":"offer"})",
        R"({"kind":"hello","formats":{"least":2,"most":1}})", R"({"kind":"offer","format":0})",
        R"({"kind":"offer","format":1,"ticketKeys":"abc"})", R"({"kind":"offer","format":1,"ticketKeys":"zz"})",
        R"({"kind":"sockets"})", R"({"kind":"ready"})", R"({"kind":"ready","adopted":[1]})", R"({"kind":"refused"})"}) {
    EXPECT_FALSE(parse_takeover_message(text)) << text;
  }
  EXPECT_FALSE(parse_takeover_message(std::string(kTakeoverMessageBytesMax + 1, ' ')));
}

TEST(TakeoverMessage, ItsCorpusIsReplayed) {
  replay_corpus(LOTSE_SOURCE_DIR "/tests/fuzz/corpus/takeover_message", fuzz_takeover_message, 6);
}

}  // namespace
}  // namespace lotse::proxy::test
