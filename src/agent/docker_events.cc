#include "agent/docker_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/json_fields.h"
#include "http/url.h"
#include "net/loop.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRetryFirst = 100ms;
constexpr Duration kRetryMax = 1s;

}  // namespace

DockerEvents::DockerEvents(DockerClient& docker, std::string label, Callbacks callbacks)
    : docker_(docker),
      label_(std::move(label)),
      callbacks_(std::move(callbacks)),
      retry_(docker.loop().timers(), [this] { connect(); }),
      retry_delay_(kRetryFirst) {}

void DockerEvents::connect() {
  nlohmann::json filters{{"type", nlohmann::json::array({"container"})},
                         {"label", nlohmann::json::array({label_})},
                         {"event", nlohmann::json::array({"die", "destroy"})}};
  http::ClientRequest request = docker_.request("GET", "/events?filters=" + http::percent_encode(dump(filters)));
  request.timeout = 10s;  // to the head
  lines_ = LineSplitter();
  refused_body_.clear();
  call_ = docker_.http().stream(std::move(request), *this);
}

void DockerEvents::on_head(int status, const http::Fields&) {
  status_ = status;
  if (status != 200) return;
  is_up_ = true;
  retry_delay_ = kRetryFirst;
  callbacks_.on_up();
}

void DockerEvents::on_body(std::string_view bytes) {
  if (status_ != 200) {
    if (refused_body_.size() < 4096) refused_body_ += bytes;
    return;
  }
  lines_.feed(bytes, [this](std::string_view line) {
    if (auto event = parse_docker_event(line)) callbacks_.on_event(*event);
  });
}

void DockerEvents::on_complete() {
  go_down(status_ == 200 ? "The Docker daemon ended its event stream" : docker_words(status_, refused_body_));
}

void DockerEvents::on_failed(Error error) { go_down(docker_.error_from(error).words); }

void DockerEvents::go_down(const std::string& words) {
  is_up_ = false;
  call_.reset();
  retry_.start(retry_delay_);
  retry_delay_ = std::min(2 * retry_delay_, kRetryMax);
  callbacks_.on_down(words);
}

}  // namespace lotse::agent
