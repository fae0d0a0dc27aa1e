#include "proxy/handover.h"

#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "net/loop.h"

namespace lotse::proxy {
namespace {

using Kind = TakeoverMessage::Kind;
constexpr std::size_t kSocketsPerMessage = 32;

TakeoverMessage message_of(Kind kind) {
  TakeoverMessage message;
  message.kind = kind;
  return message;
}

TakeoverMessage refusal(std::string_view why) {
  TakeoverMessage message = message_of(Kind::refused);
  message.why = why;
  return message;
}

}  // namespace

Handover::Handover(net::Loop& loop, std::string socket_path, std::string version, HandoverOwner& owner,
                   HandoverTimes times)
    : loop_(loop),
      path_(std::move(socket_path)),
      version_(std::move(version)),
      owner_(owner),
      times_(times),
      timer_(loop.timers(), [this] { on_timeout(); }) {}

Handover::~Handover() = default;

Result<Unit, Problem> Handover::listen() {
  auto listener = net::DescriptorListener::open(loop_, path_, [this](net::UniqueFd fd) { on_accept(std::move(fd)); });
  if (!listener) return fail(Problem{path_, "cannot listen for a takeover: " + describe(listener.error())});
  listener_ = std::move(*listener);
  return Unit{};
}

void Handover::stop(std::string_view why) {
  listener_.reset();
  if (state_ == State::idle || state_ == State::on_trial || state_ == State::leaving) return;
  give_up(std::string(why));
}

// The other side ----------------------------------------------------------------------------------------------------

void Handover::on_accept(net::UniqueFd fd) {
  net::DescriptorChannel::Callbacks callbacks;
  callbacks.on_message = [this](std::string_view text, std::vector<net::UniqueFd>) { on_message(text); };
  callbacks.on_closed = [this] { give_up("the new process has ended"); };
  auto channel = net::DescriptorChannel::adopt(loop_, std::move(fd), std::move(callbacks));
  if (!channel) return log::warn("proxy", "takeover: {}", describe(channel.error()));
  const net::PeerProcess peer = (*channel)->peer();
  // The mode of the file says the same; root may connect everywhere.
  if (peer.uid != geteuid()) return log::warn("proxy", "takeover: refused to user {}", peer.uid);
  if (state_ != State::idle) return (*channel)->send(serialize(refusal("another takeover is under way")), {});
  channel_ = std::move(*channel);
  last_asked_ = peer.pid;
  asking_ = std::make_shared<char>();
  state_ = State::asked;
  timer_.start(owner_.takeover_timeout());
}

void Handover::on_message(std::string_view text) {
  auto message = parse_takeover_message(text);
  if (!message) return give_up("the new process sent what is no message: " + message.error().text());
  take(*message);
}

void Handover::take(const TakeoverMessage& message) {
  if (message.kind == Kind::unknown) return;
  if (message.kind == Kind::refused) return give_up("the new process gave up: " + message.why);
  if (message.kind == Kind::hello && state_ == State::asked) return answer_hello(message);
  if (message.kind == Kind::ready && state_ == State::offered) return on_ready(message);
  if (message.kind == Kind::done && state_ == State::yielded) return on_done();
  if (message.kind == Kind::released && (state_ == State::on_trial || state_ == State::leaving)) return on_released();
  give_up("the new process sent a message out of order");
}

void Handover::answer_hello(const TakeoverMessage& hello) {
  if (hello.format_least > kTakeoverFormatMost || hello.format_most < kTakeoverFormatLeast) {
    return give_up("version " + hello.version + " speaks other takeover formats than " + version_);
  }
  log::info("proxy", "process {} (version {}) asks to take over", last_asked_, hello.version);
  state_ = State::saving;
  owner_.save_tables([this, asking = std::weak_ptr(asking_)] {
    if (!asking.expired() && state_ == State::saving) send_goods();
  });
}

void Handover::send_goods() {
  state_ = State::offered;
  TakeoverGoods goods = owner_.copies_of_goods();
  TakeoverMessage offer = message_of(Kind::offer);
  offer.version = version_;
  offer.format = kTakeoverFormatMost;
  offer.takeovers = goods.takeovers;
  offer.ticket_keys = goods.ticket_keys;
  offer.ticket_rotation_seconds = static_cast<std::uint64_t>(goods.until_ticket_rotation.count());
  std::vector<net::UniqueFd> descriptors;
  descriptors.push_back(std::move(goods.lock));
  send(offer, std::move(descriptors));
  for (auto& [address, sockets] : goods.listeners) {
    TakeoverMessage message = message_of(Kind::sockets);
    message.listener = address;
    for (std::size_t at = 0; at < sockets.size(); at += kSocketsPerMessage) {
      const std::size_t count = std::min(kSocketsPerMessage, sockets.size() - at);
      auto first = sockets.begin() + static_cast<std::ptrdiff_t>(at);
      send(message,
           {std::make_move_iterator(first), std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count))});
    }
  }
  if (goods.admin) {
    TakeoverMessage message = message_of(Kind::sockets);
    message.listener = goods.admin_address;
    message.is_admin = true;
    std::vector<net::UniqueFd> one;
    one.push_back(std::move(goods.admin));
    send(message, std::move(one));
  }
  send(message_of(Kind::complete));
}

// From here until `done` nobody accepts: the kernel queues. It takes the successor a turn of its loop.
void Handover::on_ready(const TakeoverMessage& ready) {
  state_ = State::yielded;
  timer_.start(times_.yield_max);
  owner_.on_yield(ready);
  send(message_of(Kind::yours));
}

void Handover::on_done() {
  log::info("proxy", "process {} has taken over; finishing what is under way", last_asked_);
  state_ = State::on_trial;
  timer_.start(times_.trial);
}

void Handover::end_trial() {
  timer_.stop();
  state_ = State::leaving;
  // First: the service manager must know which process is the main one before that one speaks.
  owner_.on_trial_over(last_asked_);
  send(message_of(Kind::main));
}

// It has a successor of its own, or ends because it was told to: what becomes of it is not our business any more.
void Handover::on_released() {
  if (state_ == State::on_trial) end_trial();
  drop_channel();
}

void Handover::drop_channel() {
  if (!channel_) return;
  channel_->set_callbacks({[](std::string_view, std::vector<net::UniqueFd>) {}, [] {}});
  loop_.defer([old = std::shared_ptr<net::DescriptorChannel>(std::move(channel_))] {});  // we may be in its callback
}

void Handover::on_timeout() {
  if (state_ == State::on_trial) return end_trial();
  give_up(state_ == State::yielded ? "the new process did not begin to accept in time"
                                   : "the new process was not ready in time");
}

void Handover::give_up(const std::string& why) {
  const State state = std::exchange(state_, State::idle);
  if (state == State::idle) return;
  send(refusal(why));
  timer_.stop();
  asking_.reset();
  drop_channel();
  if (state == State::yielded || state == State::on_trial || state == State::leaving) {
    owner_.on_take_back();
    if (auto again = listen(); !again) log::warn("proxy", "{}", again.error().text());
  }
  owner_.on_takeover_failed(why);
}

void Handover::send(const TakeoverMessage& message, std::vector<net::UniqueFd> descriptors) {
  if (channel_) channel_->send(serialize(message), std::move(descriptors));
}

}  // namespace lotse::proxy
