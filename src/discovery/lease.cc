#include "discovery/lease.h"

#include <fmt/core.h>

#include <algorithm>

#include "net/loop.h"

namespace lotse::discovery {

Lease::Lease(http::Client& client, Options options, Owner& owner)
    : client_(client),
      options_(std::move(options)),
      owner_(owner),
      heartbeat_(client.loop().timers(), [this] { report_now(); }) {}

void Lease::start() { report_now(); }

void Lease::report_now() {
  if (is_under_way_) {
    has_news_ = true;
    return;
  }
  send();
}

void Lease::send() {
  has_news_ = false;
  is_under_way_ = true;
  ++reports_;
  heartbeat_.start(options_.heartbeat);
  http::ClientRequest request;
  request.method = "PUT";
  request.endpoint = options_.scheduler;
  request.target = "/v1/proxies/" + http::percent_encode(options_.proxy_id);
  request.fields = {{"Content-Type", "application/json"}};
  request.timeout = options_.answer_timeout;
  request.body_bytes_max = 64 * 1024;
  request.body = model::serialize(owner_.make_report());
  Instant sent = client_.loop().clock().now();  // not the turn's cached time: a pause before this line must count
  call_ = client_.send(std::move(request),
                       [this, sent](Result<http::ClientResponse> answer) { on_answer(sent, std::move(answer)); });
}

void Lease::on_answer(Instant sent, Result<http::ClientResponse> answer) {
  is_under_way_ = false;
  bool is_unbroken = sent <= until_;
  std::string why;
  if (!answer) {
    why = describe(answer.error());
  } else if (answer->status / 100 != 2) {
    why = fmt::format("status {}", answer->status);
  } else if (auto parsed = model::parse_proxy_report_answer(answer->body); !parsed) {
    why = parsed.error().text();
  } else if (!owner_.on_term(parsed->term)) {
    why = fmt::format("its term {} is older than one seen: a fenced scheduler", parsed->term);
  } else {
    auto granted = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::clamp(parsed->lease_seconds, 0.0, 86'400.0)));
    until_ = std::max(until_, sent + std::min(granted, options_.length));
  }
  // The news that came meanwhile goes first: the owner may destroy or restart us.
  if (has_news_) send();
  if (why.empty()) return owner_.on_lease_renewed(sent, is_unbroken);
  ++failures_;
  owner_.on_lease_refused(why);
}

}  // namespace lotse::discovery
