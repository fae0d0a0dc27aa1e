#include "scheduler/server/event_streams.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "http/sse.h"
#include "model/json_text.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

std::string light_text(nlohmann::json event) {
  if (auto plan = event.find("plan"); plan != event.end() && plan->is_object()) {
    plan->erase("original");
    plan->erase("target");
  }
  return model::to_text(event);
}

}  // namespace

EventStreams::EventStreams(net::Loop& loop, Options options)
    : loop_(loop), options_(options), heartbeat_(loop.timers(), [this] { beat(); }) {
  heartbeat_.start(options_.heartbeat);
}

EventStreams::~EventStreams() { *alive_ = false; }

void EventStreams::follow(http::Responder responder, std::set<std::string> types, const std::string& remote,
                          bool is_light) {
  if (subscribers_.size() >= options_.subscribers_max) {
    return respond_error(responder, {503, "Too many event streams are open", {}, "", {}});
  }
  auto subscriber = std::make_unique<Subscriber>();
  http::StreamOptions stream;
  stream.queue_bytes_max = options_.queue_bytes_max;
  subscriber->stream = responder.stream(std::move(stream));
  if (subscriber->stream == nullptr) return;
  subscriber->types = std::move(types);
  subscriber->remote = remote;
  subscriber->is_light = is_light;
  std::uint64_t id = next_id_++;
  subscriber->stream->set_callbacks(
      [this, id] {
        if (auto found = subscribers_.find(id); found != subscribers_.end()) found->second->outstanding = 0;
      },
      [this, id] {
        if (auto found = subscribers_.find(id); found != subscribers_.end()) remove_later(id, *found->second);
      });
  subscribers_[id] = std::move(subscriber);
  announce("event_stream_attached", remote);
}

void EventStreams::send(std::string_view type, const nlohmann::json& event) {
  if (!has_subscribers()) return;
  const std::string text = model::to_text(event);
  if (also_ != nullptr && also_->wants_events()) also_->on_event(text);
  std::string frame, light_frame;
  http::append_sse_event(frame, type, text);
  for (auto& [id, subscriber] : subscribers_) {
    if (!subscriber->types.empty() && !subscriber->types.contains(std::string(type))) continue;
    if (subscriber->is_light && light_frame.empty()) http::append_sse_event(light_frame, type, light_text(event));
    write(id, *subscriber, subscriber->is_light ? light_frame : frame);
  }
}

void EventStreams::write(std::uint64_t id, Subscriber& subscriber, std::string_view frame) {
  if (subscriber.is_leaving) return;
  bool has_room = subscriber.outstanding < options_.events_max;
  if (has_room && subscriber.stream->write(frame)) {
    subscriber.outstanding = subscriber.stream->queued_bytes() == 0 ? 0 : subscriber.outstanding + 1;
    return;
  }
  ++dropped_;
  log::warn("scheduler", "event stream of {} lags: disconnected", subscriber.remote);
  remove_later(id, subscriber);
}

// The stream may be on the call stack, and send() iterates: destroyed after the current callbacks.
void EventStreams::remove_later(std::uint64_t id, Subscriber& subscriber) {
  if (std::exchange(subscriber.is_leaving, true)) return;
  loop_.defer([this, id, is_alive = alive_] {
    if (!*is_alive) return;
    auto found = subscribers_.find(id);
    if (found == subscribers_.end()) return;
    std::string remote = found->second->remote;
    subscribers_.erase(found);
    announce("event_stream_detached", remote);
  });
}

// A bare empty line: Marathon's heartbeat, which clients that know no comments understand as well.
void EventStreams::beat() {
  heartbeat_.start(options_.heartbeat);
  for (auto& [id, subscriber] : subscribers_) {
    if (subscriber->is_leaving || subscriber->stream->queued_bytes() > 0) continue;
    if (!subscriber->stream->write("\n")) remove_later(id, *subscriber);
  }
}

void EventStreams::announce(std::string_view type, const std::string& remote) {
  send(type, {{"eventType", std::string(type)},
              {"timestamp", format_timestamp(loop_.clock().wall())},
              {"remoteAddress", remote}});
}

}  // namespace lotse::scheduler
