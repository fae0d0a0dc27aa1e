#include "scheduler/server/event_callbacks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kAnswerBytesMax = 64 * 1024;  // nobody reads it
constexpr int kDoublingsMax = 10;

}  // namespace

EventCallbacks::EventCallbacks(net::Loop& loop, Engine& engine, EventStreams& events, Options options)
    : loop_(loop), engine_(engine), events_(events), options_(options), client_(loop) {
  events_.set_also(this);
}

EventCallbacks::~EventCallbacks() { events_.set_also(nullptr); }

void EventCallbacks::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  router.add("GET", "/v2/eventSubscriptions",
             [this](ServerRequest&, Responder responder) { list(std::move(responder)); });
  router.add("POST", "/v2/eventSubscriptions",
             [this](ServerRequest& request, Responder responder) { change(request, true, std::move(responder)); });
  router.add("DELETE", "/v2/eventSubscriptions",
             [this](ServerRequest& request, Responder responder) { change(request, false, std::move(responder)); });
}

void EventCallbacks::list(http::Responder responder) {
  respond_json(responder, 200, {{"callbackUrls", engine_.state().callbacks}});
}

void EventCallbacks::change(const http::ServerRequest& request, bool is_wanted, http::Responder responder) {
  const auto url = request.parameter("callbackUrl");
  if (!url || url->empty() || url->size() > kUrlBytesMax) {
    return respond_error(responder, {400, "The parameter callbackUrl is missing or too long", {}, "", {}});
  }
  auto parsed = http::parse_url(*url);
  if (is_wanted && (!parsed || !parsed->endpoint.unix_path.empty())) {
    return respond_error(responder,
                         rule_broken("/callbackUrl", "must be an http:// URL: events are not posted over TLS"));
  }
  SetCallback event{.url = std::string(*url), .is_wanted = is_wanted};
  json said = {{"eventType", is_wanted ? "subscribe_event" : "unsubscribe_event"},
               {"timestamp", format_timestamp(engine_.now().wall)},
               {"clientIp", request.peer.ip()},
               {"callbackUrl", event.url}};
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(std::move(event), [this, waiting, said](const Answer& answer) {
    if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(*waiting, *error);
    events_.send(said["eventType"].get_ref<const std::string&>(), said);
    respond_json(*waiting, 200, said);
  });
}

EventCallbacks::Target* EventCallbacks::target_of(const std::string& url) {
  auto known = targets_.find(url);
  if (known != targets_.end()) return known->second.get();
  auto parsed = http::parse_url(url);
  if (!parsed) return nullptr;  // stored by somebody who knew more kinds
  auto target = std::make_unique<Target>(loop_.timers(), [this, url] { send_next(url); });
  target->url = std::move(*parsed);
  return targets_.emplace(url, std::move(target)).first->second.get();
}

void EventCallbacks::on_event(const std::string& text) {
  const std::set<std::string>& wanted = engine_.state().callbacks;
  std::erase_if(targets_, [&](const auto& target) { return !wanted.contains(target.first); });
  for (const std::string& url : wanted) {
    Target* target = target_of(url);
    if (target == nullptr) continue;
    if (target->waiting.size() >= options_.events_max) {
      target->waiting.pop_front();
      if (dropped_++ == 0) log::warn("scheduler", "{} does not keep up with the events: the oldest are dropped", url);
    }
    target->waiting.push_back(text);
    if (target->call == nullptr && !target->pause.is_armed()) send_next(url);
  }
}

void EventCallbacks::send_next(const std::string& url) {
  auto known = targets_.find(url);
  if (known == targets_.end() || known->second->waiting.empty()) return;
  Target& target = *known->second;
  http::ClientRequest request;
  request.method = "POST";
  request.endpoint = target.url.endpoint;
  request.target = target.url.target;
  request.fields.emplace_back("Content-Type", "application/json");
  request.body = std::move(target.waiting.front());
  target.waiting.pop_front();
  request.timeout = options_.timeout;
  request.body_bytes_max = kAnswerBytesMax;
  target.call = client_.send(std::move(request),
                             [this, url](const Result<http::ClientResponse>& answer) { on_answer(url, answer); });
}

// An event that was refused is not sent again: whoever acts on each would act twice.
void EventCallbacks::on_answer(const std::string& url, const Result<http::ClientResponse>& answer) {
  auto known = targets_.find(url);
  if (known == targets_.end()) return;
  Target& target = *known->second;
  loop_.defer([done = std::shared_ptr<http::Call>(std::move(target.call))] {});  // it is on the call stack
  if (answer && answer->status < 400) {
    target.failures_in_a_row = 0;
    return send_next(url);
  }
  ++failures_;
  if (target.failures_in_a_row == 0) {
    log::warn("scheduler", "an event could not be posted to {}: {}", url,
              answer ? "status " + std::to_string(answer->status) : describe(answer.error()));
  }
  const int doublings = std::min(target.failures_in_a_row++, kDoublingsMax);
  target.pause.start(std::min(options_.pause_max, options_.pause_first * (1 << doublings)));
}

}  // namespace lotse::scheduler
