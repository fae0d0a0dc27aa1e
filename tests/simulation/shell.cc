#include "tests/simulation/shell.h"

#include <utility>

#include "base/check.h"
#include "scheduler/core/records.h"

namespace lotse::simulation {

using namespace scheduler;

constexpr Token kToken = 1;  // answers come within the step, so one is enough

Shell::Shell(Timeline& timeline, Dice& dice, const Faults& faults, std::uint64_t seed)
    : timeline_(timeline), dice_(dice), faults_(faults), random_(seed) {}

void Shell::start() {
  if (state_) return;
  ++generation_;
  auto restored = restore(record_list(), ++term_, "sim", settings, timeline_.both());
  CHECK(restored.has_value());
  state_ = std::move(*restored);
  deliver(Tick{});
}

void Shell::crash() {
  if (!state_) return;
  state_.reset();
  wake_.reset();
  unsynced_.clear();
  for (auto& [agent, entry] : std::exchange(command_streams_, {})) entry.stream->close();
  for (auto& entry : std::exchange(route_streams_, {})) entry.stream->close();
  timeline_.after(faults_.scheduler ? dice_.between(100ms, 20s) : 100ms, [this] { start(); });
}

std::map<std::string, std::string> Shell::records() const {
  auto all = durable_;
  for (const auto& [key, value] : unsynced_) all[key] = value;
  return all;
}

void Shell::deliver(Event event, std::function<void(const Answer&)> on_answer) {
  if (state_) run(event, std::move(on_answer));
}

std::shared_ptr<Stream> Shell::open_commands(const model::AgentId& agent, Commands on_command,
                                             std::function<void()> on_break) {
  auto stream = std::make_shared<Stream>(timeline_, dice_, faults_, std::move(on_break));
  if (auto old = command_streams_.find(agent); old != command_streams_.end()) old->second.stream->close();
  command_streams_[agent] = {stream, std::move(on_command)};
  deliver(AgentConnected{agent});
  return stream;
}

std::shared_ptr<Stream> Shell::open_routes(const std::string& proxy, const std::string& boot, RouteReader reader,
                                           std::function<void()> on_break) {
  auto stream = std::make_shared<Stream>(timeline_, dice_, faults_, std::move(on_break));
  deliver(ProxyJoined{proxy, boot});
  if (!state_ || !records().contains(proxy_key(proxy, boot))) {  // the lease was not made durable
    stream->close();
    return stream;
  }
  const model::Revision revision{state_->term, state_->revision};
  Stream::send(stream, [snapshot = reader.on_snapshot, revision, endpoints = all_endpoints(*state_)] {
    snapshot(revision, endpoints);
  });
  std::erase_if(route_streams_, [](const RouteStream& entry) { return !entry.stream->is_open(); });
  route_streams_.push_back({stream, std::move(reader)});
  return stream;
}

void Shell::run(const Event& event, std::function<void(const Answer&)> on_answer) {
  Event with_token = event;
  std::visit(
      [](auto& value) {
        if constexpr (requires { value.token; }) value.token = kToken;
      },
      with_token);
  const std::vector<Command> commands = step(*state_, with_token, timeline_.both(), random_);
  if (faults_.scheduler && dice_.once_in(1500)) {
    crash();  // before anything is durable
    return;
  }
  if (faults_.scheduler && dice_.once_in(1000)) {
    fail_write();
    return;
  }
  write(commands);
  if (faults_.scheduler && dice_.once_in(1500)) {
    crash();  // durable, but nothing has left
    return;
  }
  for (const Command& command : commands) carry_out(command, on_answer);
  if (watcher != nullptr) watcher->on_step();
}

void Shell::write(const std::vector<Command>& commands) {
  bool is_synced = false;
  for (const Command& command : commands) {
    if (const auto* write = std::get_if<Write>(&command)) {
      unsynced_[write->key] = write->value;
      is_synced |= write->is_synced;
    } else if (const auto* erase = std::get_if<Erase>(&command)) {
      unsynced_.erase(erase->key);
      durable_.erase(erase->key);
      is_synced = true;
    }
  }
  if (!is_synced) return;
  for (auto& [key, value] : std::exchange(unsynced_, {})) durable_[key] = std::move(value);
}

// The disk is full. What the step did is undone; what it wanted to say stays unsaid.
void Shell::fail_write() {
  auto restored = restore(record_list(), term_, "sim", settings, timeline_.both());
  CHECK(restored.has_value());
  carry_over_volatile(*state_, *restored);
  state_ = std::move(*restored);
  for (auto& entry : std::exchange(route_streams_, {})) entry.stream->close();
  wake_at(timeline_.now + 10ms);
}

void Shell::carry_out(const Command& command, const std::function<void(const Answer&)>& on_answer) {
  if (!state_) return;
  if (watcher != nullptr) watcher->on_command(command);
  if (const auto* reply = std::get_if<Reply>(&command)) {
    if (on_answer) on_answer(reply->answer);
  } else if (const auto* sent = std::get_if<SendToAgent>(&command)) {
    auto stream = command_streams_.find(sent->agent);
    if (stream == command_streams_.end()) return;
    Stream::send(stream->second.stream, [deliver = stream->second.on_command, c = sent->command] { deliver(c); });
  } else if (const auto* routes = std::get_if<PublishRoutes>(&command)) {
    for (const RouteStream& entry : route_streams_) {
      Stream::send(entry.stream, [update = entry.reader.on_update, u = routes->update] { update(u); });
    }
  } else if (const auto* wake = std::get_if<WakeAt>(&command)) {
    wake_at(wake->instant);
  }
}

void Shell::wake_at(Instant when) {
  when = std::max(when, timeline_.now);
  if (wake_ && *wake_ <= when && *wake_ >= timeline_.now) return;
  wake_ = when;
  timeline_.at(when, [this, generation = generation_, when] {
    if (generation != generation_ || wake_ != when) return;
    wake_.reset();
    deliver(Tick{});
  });
}

std::vector<std::pair<std::string, std::string>> Shell::record_list() const {
  const auto all = records();
  return {all.begin(), all.end()};
}

}  // namespace lotse::simulation
