#include "tests/agent/flaky_docker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

namespace lotse::agent {

struct FlakyDocker::Pair {
  struct Side final : net::StreamListener {
    Side(Pair& its_pair, bool of_client) : pair(its_pair), is_client(of_client) {}
    void on_bytes(std::span<const char> bytes) override { pair.on_bytes(is_client, {bytes.data(), bytes.size()}); }
    void on_end() override { pair.close(); }
    void on_error(Error) override { pair.close(); }
    Pair& pair;
    bool is_client;
  };

  Pair(FlakyDocker& its_owner, std::unique_ptr<net::Stream> accepted)
      : owner(its_owner), client(std::move(accepted)), client_side(*this, true), docker_side(*this, false) {
    docker = net::connect(owner.loop_, net::Address::parse("unix:" + owner.real_path_).value(), docker_side);
    docker->start_reading();
    client->set_listener(&client_side);
    client->start_reading();
  }

  void on_bytes(bool from_client, std::string_view bytes) {
    if (is_closed) return;
    if (from_client) {
      owner.requests_.emplace_back(bytes.substr(0, bytes.find('\r')));
      if (owner.drop_left_ > 0 && bytes.starts_with(owner.drop_prefix_)) {
        --owner.drop_left_;
        drops_next_answer = true;
      }
      return docker->write(bytes);
    }
    if (!drops_next_answer) return client->write(bytes);
    ++owner.dropped_;
    close();
  }

  void close() {
    if (std::exchange(is_closed, true)) return;
    owner.loop_.defer([flag = std::weak_ptr<bool>(owner.is_here_), its_owner = &owner] {
      if (flag.lock()) its_owner->sweep();
    });
  }

  FlakyDocker& owner;
  std::unique_ptr<net::Stream> client, docker;
  Side client_side, docker_side;
  bool drops_next_answer = false, is_closed = false;
};

FlakyDocker::FlakyDocker(net::Loop& loop, std::string path, std::string real_path)
    : loop_(loop), path_(std::move(path)), real_path_(std::move(real_path)) {
  come_up();
}
FlakyDocker::~FlakyDocker() = default;

void FlakyDocker::go_down() {
  listener_.reset();
  ::unlink(path_.c_str());
  pairs_.clear();
}

void FlakyDocker::come_up() {
  auto fd = net::make_listening_socket(net::Address::parse("unix:" + path_).value());
  ASSERT_TRUE(fd.has_value());
  auto opened = net::Listener::open(loop_, std::move(*fd), [this](std::unique_ptr<net::Stream> stream) {
    pairs_.push_back(std::make_unique<Pair>(*this, std::move(stream)));
  });
  ASSERT_TRUE(opened.has_value());
  listener_ = std::move(*opened);
}

void FlakyDocker::drop_answers_to(std::string prefix, int count) {
  drop_prefix_ = std::move(prefix);
  drop_left_ = count;
}

int FlakyDocker::seen(const std::string& prefix) const {
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(),
                                        [&](const std::string& line) { return line.starts_with(prefix); }));
}

void FlakyDocker::sweep() {
  pairs_.remove_if([](const auto& pair) { return pair->is_closed; });
}

}  // namespace lotse::agent
