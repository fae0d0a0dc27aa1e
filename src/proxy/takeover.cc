#include "proxy/takeover.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/loop.h"

namespace lotse::proxy {
namespace {

using Kind = TakeoverMessage::Kind;
// What readiness is made of (tables, workers) has no event of its own, and is looked at only here.
constexpr Duration kLookAgain = std::chrono::milliseconds(10);
constexpr Duration kYieldMax = std::chrono::seconds(10);  // it has nothing to do but to answer
constexpr std::size_t kSocketsMax = 4096;
constexpr std::uint64_t kDaySeconds = 86'400;

}  // namespace

Takeover::Takeover(net::Loop& loop, std::string socket_path, std::string version)
    : loop_(loop), path_(std::move(socket_path)), version_(std::move(version)), timer_(loop.timers(), [this] {
        if (state_ == State::preparing) return look_if_ready();
        end("the running process did not answer in time");
      }) {}

Takeover::~Takeover() = default;

Result<TakeoverGoods, Problem> Takeover::receive(Duration within) {
  net::DescriptorChannel::Callbacks callbacks;
  callbacks.on_message = [this](std::string_view text, std::vector<net::UniqueFd> descriptors) {
    on_message(text, std::move(descriptors));
  };
  callbacks.on_closed = [this] { on_closed(); };
  auto channel = net::DescriptorChannel::connect(loop_, path_, std::move(callbacks));
  if (!channel) return fail(Problem{path_, "nobody is there to take over from: " + describe(channel.error())});
  channel_ = std::move(*channel);
  if (channel_->peer().uid != geteuid()) return fail(Problem{path_, "belongs to a process of another user"});
  TakeoverMessage hello;
  hello.kind = Kind::hello;
  hello.version = version_;
  send(hello);
  timer_.start(within);
  loop_.run();
  timer_.stop();
  if (!is_complete_) return fail(Problem{path_, failure_.empty() ? "stopped" : failure_});
  return std::move(goods_);
}

void Takeover::go_on(Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  look_if_ready();
}

void Takeover::release() {
  TakeoverMessage message;
  message.kind = Kind::released;
  send(message);
}

void Takeover::on_message(std::string_view text, std::vector<net::UniqueFd> descriptors) {
  auto message = parse_takeover_message(text);
  if (!message) return end("the running process sent what is no message: " + message.error().text());
  take(*message, std::move(descriptors));
}

void Takeover::take(const TakeoverMessage& message, std::vector<net::UniqueFd> descriptors) {
  switch (message.kind) {
    case Kind::refused:
      return end(message.why);
    case Kind::offer:
      if (state_ != State::asking || goods_.lock || descriptors.size() != 1) break;
      if (message.format != kTakeoverFormatMost) return end("it chose a takeover format that we do not speak");
      goods_.lock = std::move(descriptors.front());
      goods_.takeovers = message.takeovers;
      goods_.ticket_keys = message.ticket_keys;
      goods_.until_ticket_rotation =
          std::chrono::seconds(std::min<std::uint64_t>(message.ticket_rotation_seconds, kDaySeconds));
      return;
    case Kind::sockets:
      if (state_ != State::asking || !goods_.lock) break;
      return take_sockets(message, std::move(descriptors));
    case Kind::complete:
      if (state_ != State::asking || !goods_.lock) break;
      is_complete_ = true;
      state_ = State::preparing;
      return loop_.stop();
    case Kind::yours:
      if (state_ != State::waiting) break;
      return begin();
    case Kind::main:
      if (state_ != State::serving) break;
      is_main_ = true;
      return callbacks_.on_main();
    case Kind::unknown:
      return;
    case Kind::hello:
    case Kind::ready:
    case Kind::done:
    case Kind::released:
      break;
  }
  end("the running process sent a message out of order");
}

void Takeover::take_sockets(const TakeoverMessage& message, std::vector<net::UniqueFd> descriptors) {
  if (message.is_admin) {
    if (descriptors.size() != 1 || goods_.admin) return end("it sent not one socket of the admin pages");
    goods_.admin = std::move(descriptors.front());
    goods_.admin_address = message.listener;
    return;
  }
  std::size_t count = descriptors.size();
  for (const auto& [address, sockets] : goods_.listeners) count += sockets.size();
  if (count > kSocketsMax) return end("it sent too many sockets");
  auto known = std::find_if(goods_.listeners.begin(), goods_.listeners.end(),
                            [&](const auto& one) { return one.first == message.listener; });
  if (known == goods_.listeners.end()) {
    goods_.listeners.emplace_back(message.listener, std::move(descriptors));
  } else {
    std::move(descriptors.begin(), descriptors.end(), std::back_inserter(known->second));
  }
}

// Without a refusal: it has died, and what we hold is all that is left of it.
void Takeover::on_closed() {
  loop_.defer([old = std::shared_ptr<net::DescriptorChannel>(std::move(channel_))] {});
  switch (state_) {
    case State::asking:
      return end("the running process ended before it had handed over");
    case State::preparing:
    case State::waiting:
      log::warn("proxy", "the process before has ended; taking over what it left");
      is_orphaned_ = true;
      if (state_ == State::waiting) begin();
      return;
    case State::serving:
      state_ = State::over;
      if (!std::exchange(is_main_, true)) callbacks_.on_main();
      return;
    case State::over:
      return;
  }
}

void Takeover::look_if_ready() {
  if (state_ != State::preparing) return;
  if (!callbacks_.not_ready_reason().empty()) return timer_.start(kLookAgain);
  if (is_orphaned_) return begin();
  state_ = State::waiting;
  TakeoverMessage ready = callbacks_.ready();
  ready.kind = Kind::ready;
  send(ready);
  timer_.start(kYieldMax);
}

void Takeover::begin() {
  state_ = State::serving;
  timer_.stop();
  callbacks_.on_yours();
  TakeoverMessage done;
  done.kind = Kind::done;
  send(done);
  if (is_orphaned_) {
    is_main_ = true;
    state_ = State::over;
    callbacks_.on_main();
  }
}

void Takeover::end(const std::string& why) {
  if (state_ == State::over) return;
  const bool was_asking = std::exchange(state_, State::over) == State::asking;
  timer_.stop();
  TakeoverMessage refused;
  refused.kind = Kind::refused;
  refused.why = why;
  send(refused);
  loop_.defer([old = std::shared_ptr<net::DescriptorChannel>(std::move(channel_))] {});
  failure_ = why;
  if (was_asking) return loop_.stop();
  callbacks_.on_refused(why);
}

void Takeover::send(const TakeoverMessage& message) {
  if (channel_) channel_->send(serialize(message), {});
}

}  // namespace lotse::proxy
