// The new side of a takeover: asks the process that runs for its sockets, prepares beside it, and accepts once that
// one has stopped to. When it refuses, before or after, we end; when it dies, what we have been given is ours.
// Decides when; its owner does. Main thread. The other side: handover.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/descriptor_channel.h"
#include "net/timers.h"
#include "proxy/handover.h"
#include "proxy/takeover_message.h"

namespace lotse::proxy {

class Takeover {
 public:
  struct Callbacks {
    std::function<std::string()> not_ready_reason;           // empty: could serve at once
    std::function<TakeoverMessage()> ready;                  // asked for when it can
    std::function<void()> on_yours;                          // accept
    std::function<void()> on_main;                           // the old process leaves
    std::function<void(const std::string& why)> on_refused;  // it serves on: end, gracefully when we had begun
  };
  Takeover(net::Loop& loop, std::string socket_path, std::string version);
  ~Takeover();

  // Turns the loop until everything is here. Nothing has changed for the old process when this fails.
  Result<TakeoverGoods, Problem> receive(Duration within);
  // From now on the loop drives us.
  void go_on(Callbacks callbacks);
  void release();  // we end, or hand on ourselves: the old process need not be there for us any more

 private:
  enum class State : std::uint8_t { asking, preparing, waiting, serving, over };

  void on_message(std::string_view text, std::vector<net::UniqueFd> descriptors);
  void take(const TakeoverMessage& message, std::vector<net::UniqueFd> descriptors);
  void take_sockets(const TakeoverMessage& message, std::vector<net::UniqueFd> descriptors);
  void on_closed();
  void look_if_ready();
  void begin();
  void end(const std::string& why);
  void send(const TakeoverMessage& message);

  net::Loop& loop_;
  const std::string path_, version_;
  State state_ = State::asking;
  Callbacks callbacks_;
  TakeoverGoods goods_;
  bool is_complete_ = false, is_orphaned_ = false, is_main_ = false;
  std::string failure_;
  std::unique_ptr<net::DescriptorChannel> channel_;
  net::Timer timer_;
};

}  // namespace lotse::proxy
