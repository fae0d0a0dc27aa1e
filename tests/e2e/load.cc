#include "tests/e2e/load.h"

#include <gtest/gtest.h>

#include "http/h1_parser.h"
#include "net/stream.h"
#include "net/timers.h"
#include "tests/e2e/program.h"

namespace lotse::e2e {

class LoadConnection final : public net::StreamListener, public http::ResponseListener {
 public:
  LoadConnection(Load& load, int& open)
      : load_(load),
        open_(open),
        parser_(std::make_unique<http::ResponseParser>(*this, limits_)),
        timer_(load.loop_->timers(), [this] { next(); }) {
    ++open_;
    request_ = "GET " + load.options_.target + " HTTP/1.1\r\nHost: lotse.test\r\n" + load.options_.fields + "\r\n";
    connect();
  }

  void on_connected() override {
    stream_->start_reading();
    send();
  }
  void on_bytes(std::span<const char> bytes) override {
    auto result = parser_->feed(bytes);
    if (result.error) return lose(std::string("bad answer: ") + result.error.reason);
    if (result.message_complete) on_complete();
  }
  void on_end() override {
    if (under_way_ && parser_->finish()) return on_complete();
    lose("closed by the proxy");
  }
  void on_error(Error error) override { lose(describe(error)); }

  void on_response_head(const http::ResponseHead& head) override {
    if (head.status < 200) return;
    status_ = head.status;
    keep_alive_ = head.keep_alive;
    task_ = std::string(head.find("x-task").value_or(""));
    body_.clear();
  }
  void on_response_body(std::span<const char> bytes) override {
    if (body_.size() < 512) body_.append(bytes.data(), std::min<std::size_t>(bytes.size(), 512));
  }
  void on_response_trailers(std::span<const http::Field>) override {}
  void on_response_complete() override {}

 private:
  void connect() {
    auto address = net::Address::parse(load_.options_.address);
    stream_ = net::connect(*load_.loop_, *address, *this);
  }
  void send() {
    parser_->expect(http::Method::get);
    under_way_ = true;
    stream_->write(request_);
  }
  void on_complete() {
    under_way_ = false;
    if (status_ != 200)
      load_.on_failure("status " + std::to_string(status_) + ": " + body_.substr(0, 160));
    else if (!body_.starts_with(load_.options_.expect))
      load_.on_failure("wrong body: " + body_.substr(0, 80));
    else
      load_.on_answer(task_);
    if (!keep_alive_) return reconnect();
    if (load_.options_.pause_ms > 0)
      timer_.start(milliseconds(load_.options_.pause_ms));
    else
      load_.loop_->defer([this] { next(); });
  }
  void next() {
    if (load_.stopping_) return end();
    if (stream_) send();
  }
  void lose(const std::string& why) {
    if (under_way_) load_.on_failure("request lost: " + why);
    under_way_ = false;
    reconnect();
  }
  void reconnect() {
    load_.loop_->defer([this] {
      stream_.reset();
      parser_ = std::make_unique<http::ResponseParser>(*this, limits_);
      if (load_.stopping_) return end();
      connect();
      under_way_ = true;  // a refused connection is a lost request as well
    });
  }
  void end() {
    stream_.reset();
    if (!std::exchange(ended_, true) && --open_ == 0) load_.loop_->stop();
  }

  Load& load_;
  int& open_;
  http::Limits limits_;
  std::unique_ptr<http::ResponseParser> parser_;
  net::Timer timer_;
  std::unique_ptr<net::Stream> stream_;
  std::string request_, body_, task_;
  int status_ = 0;
  bool keep_alive_ = true, under_way_ = true, ended_ = false;
};

Load::Load(LoadOptions options) : options_(std::move(options)) {
  thread_ = std::thread([this] {
    loop_ = std::make_unique<net::Loop>();
    int open = 0;
    {
      std::vector<std::unique_ptr<LoadConnection>> connections;
      for (int i = 0; i < options_.connections; ++i)
        connections.push_back(std::make_unique<LoadConnection>(*this, open));
      loop_->run();
    }
    loop_.reset();
  });
}

Load::~Load() { stop(); }

void Load::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Load::on_answer(const std::string& task) {
  std::lock_guard lock(mutex_);
  ++by_task_[task];
  ++answered_;
}

void Load::on_failure(const std::string& what) {
  std::lock_guard lock(mutex_);
  ++failures_[what];
  ++failed_;
}

std::string Load::failures() const {
  std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [what, count] : failures_) text += std::to_string(count) + " x " + what + "\n";
  return text;
}

std::map<std::string, std::uint64_t> Load::by_task() const {
  std::lock_guard lock(mutex_);
  return by_task_;
}

void Load::forget() {
  std::lock_guard lock(mutex_);
  failures_.clear();
  by_task_.clear();
  answered_ = failed_ = 0;
}

void Load::let_pass(std::uint64_t count) {
  std::uint64_t wanted = answered_ + count;
  EXPECT_TRUE(eventually([&] { return answered_ >= wanted; })) << "the load stands still; failures:\n" << failures();
}

}  // namespace lotse::e2e
