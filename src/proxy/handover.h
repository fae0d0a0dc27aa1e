// The old side of a takeover: waits in the data directory for a process of the same user that asks, hands it sockets,
// ticket keys and the lock, and stops accepting once that one is ready. Whatever goes wrong on the other side, up to
// our own end, we serve on as before. Decides when; its owner does. Main thread.
// The messages and why they come in this order: docs/decisions/0009-binary-upgrade.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/descriptor_channel.h"
#include "net/timers.h"
#include "proxy/takeover_message.h"

namespace lotse::net {
class Loop;
}

namespace lotse::proxy {

struct TakeoverGoods {  // copies: the old process keeps its own
  net::UniqueFd lock;   // of the data directory; held as long as anybody has a copy
  std::uint64_t takeovers = 0;
  std::string ticket_keys;
  std::chrono::seconds until_ticket_rotation{};
  std::vector<std::pair<std::string, std::vector<net::UniqueFd>>> listeners;  // by address as configured
  std::string admin_address;
  net::UniqueFd admin;
};

class HandoverOwner {
 public:
  virtual void save_tables(std::function<void()> on_saved) = 0;  // for the successor to start from; may be at once
  virtual TakeoverGoods copies_of_goods() = 0;
  virtual Duration takeover_timeout() const = 0;  // from asking to being ready
  virtual void on_yield(const TakeoverMessage& ready) = 0;
  virtual void on_take_back() = 0;                  // accept again
  virtual void on_trial_over(pid_t successor) = 0;  // leave as soon as nothing is left to do
  virtual void on_takeover_failed(const std::string& why) = 0;

 protected:
  ~HandoverOwner() = default;
};

struct HandoverTimes {
  Duration yield_max = std::chrono::seconds(2);  // from yielding to the successor's word that it accepts
  Duration trial = std::chrono::seconds(3);      // so long we stay at least, ready to take back
};

class Handover {
 public:
  Handover(net::Loop& loop, std::string socket_path, std::string version, HandoverOwner& owner,
           HandoverTimes times = {});
  ~Handover();

  Result<Unit, Problem> listen();
  void stop(std::string_view why);  // we end for another reason: no takeover from now on, one under way is refused
  bool is_under_way() const { return state_ != State::idle; }
  pid_t last_asked() const { return last_asked_; }  // -1: nobody yet

 private:
  enum class State : std::uint8_t { idle, asked, saving, offered, yielded, on_trial, leaving };

  void on_accept(net::UniqueFd fd);
  void on_message(std::string_view text);
  void take(const TakeoverMessage& message);
  void answer_hello(const TakeoverMessage& hello);
  void send_goods();
  void on_ready(const TakeoverMessage& ready);
  void on_done();
  void end_trial();
  void on_released();
  void drop_channel();
  void on_timeout();
  void give_up(const std::string& why);  // tells the other side, and goes on as before
  void send(const TakeoverMessage& message, std::vector<net::UniqueFd> descriptors = {});

  net::Loop& loop_;
  const std::string path_, version_;
  HandoverOwner& owner_;
  const HandoverTimes times_;
  State state_ = State::idle;
  pid_t last_asked_ = -1;
  std::unique_ptr<net::DescriptorListener> listener_;
  std::unique_ptr<net::DescriptorChannel> channel_;
  std::shared_ptr<char> asking_;  // of the present takeover: what comes late for an earlier one finds it gone
  net::Timer timer_;
};

}  // namespace lotse::proxy
