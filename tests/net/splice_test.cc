// Bytes that pass from one stream to another inside the kernel: all of them, in order, exactly so many, whoever is slow
// or goes away.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "net/splice_pipe.h"
#include "tests/net/net_fixture.h"

namespace lotse::net {
namespace {

std::string random_text(std::size_t bytes, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// source -> from (ours), spliced to -> to (ours) -> sink.
class SpliceTest : public NetTest, public testing::WithParamInterface<const char*> {
 protected:
  class From final : public StreamListener {
   public:
    explicit From(SpliceTest& test) : test_(test) {}
    void on_bytes(std::span<const char> bytes) override {
      seen.append(bytes.data(), bytes.size());
      if (on_bytes_hook) on_bytes_hook();
    }
    void on_end() override { has_ended = true; }
    void on_error(Error error) override { errors.push_back(error); }
    void on_drained() override {}
    void on_spliced(std::size_t bytes) override {
      spliced += bytes;
      if (test_.to.stream && test_.to.stream->queued_bytes() > 0) {
        ++pauses;
        stream->stop_reading();
      }
      if (on_spliced_hook) on_spliced_hook();
    }
    std::unique_ptr<Stream> stream;
    std::string seen;
    std::size_t spliced = 0, pauses = 0;
    bool has_ended = false;
    std::vector<Error> errors;
    std::function<void()> on_bytes_hook, on_spliced_hook;

   private:
    SpliceTest& test_;
  };

  std::string address(const char* name) const {
    if (std::string_view(GetParam()) == "tcp") return "127.0.0.1:0";
    return "unix:" + testing::TempDir() + "lotse-splice-" + name + "-" + std::to_string(getpid());
  }
  void SetUp() override {
    std::string first = address("a"), second = address("b");
    for (const std::string& one : {first, second}) {
      if (one.starts_with("unix:")) unlink(one.c_str() + 5);
    }
    Peer accepted;
    connect_pair(source, accepted, first);
    from.stream = std::move(accepted.stream);
    from.stream->set_listener(&from);
    connect_pair(to, sink, second);
    to.on_drained_hook = [this] {
      if (from.stream) from.stream->start_reading();
    };
    sink.stream->start_reading();
  }
  void TearDown() override {
    from.stream.reset();
    to.stream.reset();
    EXPECT_EQ(loop.splice_pipes().in_use(), 0U);
  }
  bool splice(std::uint64_t bytes) {
    bool is_on = from.stream->splice_to(*to.stream, bytes);
    from.stream->start_reading();
    return is_on;
  }

  Peer source, to, sink;
  From from{*this};
};

TEST_P(SpliceTest, PassesSoManyBytesOnAndShowsTheNextOnes) {
  for (std::size_t bytes : {1U, 100U, 4096U, 65'537U, 3'000'001U}) {
    const std::string body = random_text(bytes);
    from.spliced = 0;
    from.seen.clear();
    sink.received.clear();
    ASSERT_TRUE(splice(bytes));
    source.stream->write(body);
    source.stream->write("next");
    run_until([&] { return sink.received.size() >= bytes && from.seen.size() >= 4; });
    EXPECT_TRUE(sink.received == body);
    EXPECT_EQ(from.spliced, bytes);
    EXPECT_EQ(from.seen, "next");
  }
}

TEST_P(SpliceTest, ASlowReaderLosesNothingAndHoldsOnePipe) {
  constexpr std::size_t kBytes = 80 * 1024 * 1024;  // more than all sockets on the way hold
  const std::string body = random_text(kBytes);
  sink.stream->stop_reading();
  ASSERT_TRUE(splice(kBytes));
  source.stream->write(body);
  run_until([&] { return from.pauses == 1; });
  EXPECT_GT(to.stream->queued_bytes(), 0U);
  EXPECT_EQ(loop.splice_pipes().in_use(), 1U);
  EXPECT_EQ(from.seen, "");
  sink.stream->start_reading();
  run_until([&] { return sink.received.size() >= kBytes; });
  EXPECT_TRUE(sink.received == body);
  EXPECT_EQ(from.spliced, kBytes);
  EXPECT_EQ(to.stream->queued_bytes(), 0U);
}

TEST_P(SpliceTest, WhatIsWrittenAndTheEndComeAfterWhatWasSpliced) {
  constexpr std::size_t kBytes = 80 * 1024 * 1024;
  const std::string body = random_text(kBytes);
  sink.stream->stop_reading();
  ASSERT_TRUE(splice(kBytes));
  source.stream->write(body);
  run_until([&] { return from.pauses == 1; });
  const std::size_t taken = from.spliced;
  from.stream.reset();
  to.stream->write("the rest");
  to.stream->shutdown();
  sink.stream->start_reading();
  run_until([&] { return !sink.events.empty() && sink.events.back() == "end"; });
  EXPECT_TRUE(sink.received == body.substr(0, taken) + "the rest");
}

TEST_P(SpliceTest, AnEndInTheMiddleComesAfterTheBytesBeforeIt) {
  ASSERT_TRUE(splice(1'000'000));
  const std::string body = random_text(300'000);
  source.stream->write(body);
  source.stream->shutdown();
  run_until([&] { return from.has_ended; });
  EXPECT_EQ(from.spliced, body.size());
  run_until([&] { return sink.received.size() >= body.size(); });
  EXPECT_TRUE(sink.received == body);
  to.stream->write("more");  // what follows is not spliced
  run_until([&] { return sink.received.size() >= body.size() + 4; });
}

class SpliceOfTcpTest : public SpliceTest {};  // a unix socket has no reset

TEST_P(SpliceOfTcpTest, AResetInTheMiddleIsAnError) {
  ASSERT_TRUE(splice(1'000'000));
  source.stream->write("begin");
  run_until([&] { return sink.received == "begin"; });
  source.stream->reset();
  run_until([&] { return !from.errors.empty(); });
  EXPECT_EQ(from.errors[0].code, Errc::connection_reset);
  EXPECT_FALSE(from.has_ended);
  EXPECT_EQ(sink.received, "begin");
}

TEST_P(SpliceTest, BytesAreShownAgainWhenTheOtherStreamHasGone) {
  ASSERT_TRUE(splice(1'000'000));
  source.stream->write("one");
  run_until([&] { return sink.received == "one"; });
  to.stream.reset();
  source.stream->write("two");
  run_until([&] { return from.seen == "two"; });
}

TEST_P(SpliceTest, BytesAreShownAgainWhenTheOtherStreamHasFailed) {
  ASSERT_TRUE(splice(100'000'000));
  sink.stream.reset();
  const std::string block = random_text(1'000'000);
  source.stream->write(block);
  run_until([&] {
    if (source.stream->queued_bytes() == 0) source.stream->write(block);
    from.stream->start_reading();
    return !from.seen.empty();
  });
  EXPECT_TRUE(from.errors.empty());
}

TEST_P(SpliceTest, MayEndInTheMiddleOfItsOwnNews) {
  ASSERT_TRUE(splice(1'000'000));
  from.on_spliced_hook = [&] { from.stream.reset(); };
  source.stream->write("last words");
  run_until([&] { return !from.stream; });
  run_until([&] { return sink.received == "last words"; });
}

TEST_P(SpliceTest, TheOtherStreamMayGoInTheMiddleOfTheNews) {
  ASSERT_TRUE(splice(1'000'000));
  from.on_spliced_hook = [&] { to.stream.reset(); };
  source.stream->write("one");
  run_until([&] { return !to.stream; });
  source.stream->write("two");
  run_until([&] { return from.seen == "two"; });
}

TEST_P(SpliceTest, WithoutAPipeBytesAreShown) {
  loop.splice_pipes().set_max(0);
  EXPECT_FALSE(splice(10));
  source.stream->write("shown");
  run_until([&] { return from.seen == "shown"; });
  EXPECT_EQ(from.spliced, 0U);
}

TEST_P(SpliceTest, WhenPipesRunOutOnTheWayBytesAreShown) {
  ASSERT_TRUE(splice(1'000'000));
  source.stream->write("one");
  run_until([&] { return sink.received == "one"; });
  loop.splice_pipes().set_max(0);
  source.stream->write("two");
  run_until([&] { return from.seen == "two"; });
  EXPECT_EQ(from.spliced, 3U);
}

TEST_P(SpliceTest, IsRefusedWhileTheOtherStreamHasBytesQueued) {
  sink.stream->stop_reading();
  const std::string block(1024 * 1024, 'x');
  while (to.stream->queued_bytes() == 0) to.stream->write(block);
  EXPECT_FALSE(from.stream->splice_to(*to.stream, 10));
}

TEST_P(SpliceTest, BytesQueuedMeanwhileKeepTheirPlace) {
  sink.stream->stop_reading();
  ASSERT_TRUE(from.stream->splice_to(*to.stream, 3));
  std::string expected;
  const std::string block = random_text(1024 * 1024);
  while (to.stream->queued_bytes() == 0) {
    to.stream->write(block);
    expected += block;
  }
  source.stream->write("abc");
  from.stream->start_reading();
  run_until([&] { return from.seen == "abc"; });  // not past what is queued
  sink.stream->start_reading();
  run_until([&] { return sink.received.size() >= expected.size(); });
  EXPECT_TRUE(sink.received == expected);
}

TEST_P(SpliceTest, BothDirectionsAtOnce) {
  const std::string there = random_text(500'000, 1), back = random_text(700'000, 2);
  ASSERT_TRUE(from.stream->splice_to(*to.stream, there.size()));
  ASSERT_TRUE(to.stream->splice_to(*from.stream, back.size()));
  from.stream->start_reading();
  to.stream->start_reading();
  source.stream->start_reading();
  source.stream->write(there);
  sink.stream->write(back);
  run_until([&] {
    from.stream->start_reading();
    return sink.received.size() >= there.size() && source.received.size() >= back.size();
  });
  EXPECT_TRUE(sink.received == there);
  EXPECT_TRUE(source.received == back);
}

// The head's bytes come by a short read; what the listener writes for them rides with the body or, when none is there,
// goes at once.
TEST_P(SpliceTest, AHeadGoesAtOnceWhetherOrNotABodyIsThere) {
  from.on_bytes_hook = [&] {
    from.on_bytes_hook = nullptr;
    EXPECT_EQ(from.seen, "head");
    EXPECT_TRUE(from.stream->splice_to(*to.stream, 8));
    to.stream->write("HEAD");
  };
  from.stream->limit_next_read(4);
  source.stream->write("head");
  from.stream->start_reading();
  run_until([&] { return sink.received == "HEAD"; });
  source.stream->write("bodybody");
  run_until([&] { return sink.received == "HEADbodybody"; });
}

TEST_P(SpliceTest, ReadsOnlySoMuchWhereItIsAsked) {
  std::vector<std::size_t> sizes;
  from.on_bytes_hook = [&] { sizes.push_back(from.seen.size()); };
  from.stream->limit_next_read(4);
  source.stream->write("0123456789");
  from.stream->start_reading();
  run_until([&] { return from.seen.size() == 10; });
  EXPECT_EQ(sizes, (std::vector<std::size_t>{4, 10}));
}

INSTANTIATE_TEST_SUITE_P(Sockets, SpliceTest, testing::Values("tcp", "unix"),
                         [](const auto& one) { return one.param; });
INSTANTIATE_TEST_SUITE_P(Sockets, SpliceOfTcpTest, testing::Values("tcp"), [](const auto& one) { return one.param; });

// splice(2) does not get past urgent data: a sender of it must not keep the loop busy for ever.
TEST_F(NetTest, UrgentDataDoesNotStopASplice) {
  Peer from, to, sink;
  connect_pair(to, sink);
  auto listener = listen("127.0.0.1:0", [&](std::unique_ptr<Stream> accepted) { from.adopt(std::move(accepted)); });
  const int sender = socket(AF_INET, SOCK_STREAM, 0);
  Address address = listener->address();
  ASSERT_EQ(connect(sender, address.raw(), sizeof(sockaddr_in)), 0);
  run_until([&] { return from.stream != nullptr; });
  ASSERT_TRUE(from.stream->splice_to(*to.stream, 6));
  sink.stream->start_reading();
  ASSERT_EQ(send(sender, "abc", 3, 0), 3);
  ASSERT_EQ(send(sender, "!", 1, MSG_OOB), 1);
  ASSERT_EQ(send(sender, "def", 3, 0), 3);
  from.stream->start_reading();
  run_until([&] { return sink.received.size() + from.received.size() == 6; });
  EXPECT_EQ(sink.received + from.received, "abcdef");
  close(sender);
}

}  // namespace
}  // namespace lotse::net
