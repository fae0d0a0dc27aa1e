#include "agent/docker_client.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "agent/durable_file.h"
#include "agent/json_fields.h"
#include "agent/log_demux.h"
#include "agent/streamed_fetch.h"
#include "http/client_async.h"
#include "http/url.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kCallTimeout = 60s;  // a loaded machine needs seconds to create and start
constexpr Duration kStopSlack = 20s;    // beyond the grace period, until a stop's outcome counts as unknown
constexpr Duration kPullDeadline = 30min;
constexpr std::size_t kCommandOutputBytesMax = 4096;

std::string container_target(const std::string& container, std::string_view rest) {
  return fmt::format("/containers/{}{}", http::percent_encode(container), rest);
}

// A log being followed. Ends when the container ends, or when Docker does.
class DockerLogFollower final : public LogFollower, private http::ClientListener {
 public:
  DockerLogFollower(http::Client& client, http::ClientRequest request, LogCallbacks callbacks)
      : callbacks_(std::move(callbacks)), call_(client.stream(std::move(request), *this)) {}
  void pause() override {
    if (call_) call_->pause();
  }
  void resume() override {
    if (call_) call_->resume();
  }

 private:
  void on_head(int status, const http::Fields&) override { status_ = status; }
  void on_body(std::string_view bytes) override {
    std::string text;
    if (status_ == 200) demux_.feed(bytes, text);
    if (!text.empty()) callbacks_.on_text(text);
  }
  void on_complete() override { callbacks_.on_end(); }
  void on_failed(Error) override { callbacks_.on_end(); }

  LogCallbacks callbacks_;
  LogDemux demux_;
  int status_ = 0;
  std::unique_ptr<http::Call> call_;
};

// Docker cannot end what exec started, so a check that hangs would pile up, one process an interval. The pid is checked
// against the container's own cgroup: should we live in another pid namespace, it names a stranger.
void kill_exec(std::int64_t pid, const std::string& container_id) {
  if (pid <= 1 || container_id.empty()) return;
  auto cgroup = read_whole(fmt::format("/proc/{}/cgroup", pid), 64 * 1024);
  if (cgroup && cgroup->content.find(container_id) != std::string::npos) ::kill(static_cast<pid_t>(pid), SIGKILL);
}

}  // namespace

DockerClient::DockerClient(net::Loop& loop, std::string socket_path)
    : loop_(loop),
      endpoint_{.host = {}, .port = 0, .unix_path = std::move(socket_path)},
      calls_(loop, kCallsMax),
      pulls_(loop, kPullsMax),
      stops_(loop, kStopsMax),
      client_(loop) {}

http::ClientRequest DockerClient::request(std::string method, std::string target, std::string body) const {
  http::ClientRequest request;
  request.method = std::move(method);
  request.endpoint = endpoint_;
  request.target = std::move(target);
  request.timeout = kCallTimeout;
  if (!body.empty()) request.fields.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  return request;
}

RuntimeError DockerClient::error_from(const Error& error) const {
  std::string why(error.uv_code < 0 && error.uv_code > -1000 ? std::strerror(-error.uv_code) : to_string(error.code));
  if (!why.empty()) why[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(why[0])));
  switch (error.code) {
    case Errc::refused:
    case Errc::not_found:
    case Errc::permission_denied:
    case Errc::unreachable:
    case Errc::invalid_argument:
      return {RuntimeError::Outcome::unreachable,
              fmt::format("Cannot connect to the Docker daemon at unix://{}: {}", endpoint_.unix_path, why)};
    default:
      return {RuntimeError::Outcome::unknown,
              fmt::format("No answer from the Docker daemon at unix://{}: {}", endpoint_.unix_path, why)};
  }
}

RuntimeError DockerClient::refusal(const http::ClientResponse& answer) {
  return {RuntimeError::Outcome::refused, docker_words(answer.status, answer.body)};
}

Async<DockerClient::Answer> DockerClient::call(http::ClientRequest request) {
  auto calling = call_in(calls_, std::move(request));
  Answer answer = co_await calling;
  co_return answer;
}

Async<DockerClient::Answer> DockerClient::call_in(Slots& slots, http::ClientRequest request) {
  Slots::Acquire acquire(slots);
  Slots::Permit permit = co_await acquire;
  http::Fetch fetch(client_, std::move(request));
  Result<http::ClientResponse> answer = co_await fetch;
  if (!answer) {
    ++failures_;
    co_return fail(error_from(answer.error()));
  }
  if (answer->status >= 500) ++failures_;
  co_return std::move(*answer);
}

Async<Outcome<std::vector<ListedContainer>>> DockerClient::list(std::string label) {
  nlohmann::json filters{{"label", nlohmann::json::array({label})}};
  auto calling = call(request("GET", "/containers/json?all=1&filters=" + http::percent_encode(dump(filters))));
  Answer answer = co_await calling;
  if (!answer) co_return fail(answer.error());
  if (answer->status != 200) co_return fail(refusal(*answer));
  auto containers = parse_container_list(answer->body);
  if (!containers) co_return fail(RuntimeError{RuntimeError::Outcome::refused, containers.error().text()});
  co_return std::move(*containers);
}

Async<Outcome<std::optional<ContainerReport>>> DockerClient::inspect(std::string container) {
  auto calling = call(request("GET", container_target(container, "/json")));
  Answer answer = co_await calling;
  if (!answer) co_return fail(answer.error());
  if (answer->status == 404) co_return std::optional<ContainerReport>();
  if (answer->status != 200) co_return fail(RuntimeError{RuntimeError::Outcome::unknown, refusal(*answer).words});
  auto report = parse_inspect(answer->body);
  if (!report) co_return fail(RuntimeError{RuntimeError::Outcome::unknown, report.error().text()});
  co_return std::optional<ContainerReport>(std::move(*report));
}

Async<Outcome<std::optional<std::string>>> DockerClient::create(std::string name, std::string body) {
  auto calling = call(request("POST", "/containers/create?name=" + http::percent_encode(name), std::move(body)));
  Answer answer = co_await calling;
  if (!answer) co_return fail(answer.error());
  if (answer->status == 201) co_return parse_created_id(answer->body);
  RuntimeError error = refusal(*answer);
  if (answer->status == 404 && error.words.find("No such image") != std::string::npos) {
    co_return std::optional<std::string>();
  }
  if (answer->status == 409) error.outcome = RuntimeError::Outcome::unknown;
  co_return fail(error);
}

Async<Outcome<Unit>> DockerClient::start(std::string container) {
  auto calling = call(request("POST", container_target(container, "/start")));
  Answer answer = co_await calling;
  if (!answer) co_return fail(answer.error());
  if (answer->status == 204 || answer->status == 304) co_return Unit{};  // 304: it runs already
  co_return fail(refusal(*answer));
}

Async<Outcome<Unit>> DockerClient::stop(std::string container, Duration grace) {
  auto seconds = std::chrono::ceil<std::chrono::seconds>(grace);
  auto asked = request("POST", container_target(container, fmt::format("/stop?t={}", seconds.count())));
  asked.timeout = grace + kStopSlack;
  auto calling = call_in(stops_, std::move(asked));
  Answer answer = co_await calling;
  if (!answer) co_return fail(answer.error());
  if (answer->status == 204 || answer->status == 304 || answer->status == 404) co_return Unit{};
  co_return fail(refusal(*answer));
}

Async<Outcome<Unit>> DockerClient::remove(std::string container) {
  auto calling = call(request("DELETE", container_target(container, "?v=1&force=1")));
  Answer answer = co_await calling;
  if (!answer) co_return fail(answer.error());
  if (answer->status == 204 || answer->status == 404) co_return Unit{};
  RuntimeError error = refusal(*answer);
  if (answer->status == 409) error.outcome = RuntimeError::Outcome::unknown;  // somebody is removing it already
  co_return fail(error);
}

Async<Outcome<Unit>> DockerClient::pull(std::string image, std::string registry_auth) {
  Slots::Acquire acquire(pulls_);
  Slots::Permit permit = co_await acquire;
  LineSplitter lines;
  std::optional<std::string> error;
  std::string refused_body;
  std::function<void(int, std::string_view)> on_body = [&](int status, std::string_view bytes) {
    if (status != 200) {
      if (refused_body.size() < 64 * 1024) refused_body += bytes;
      return;
    }
    lines.feed(bytes, [&](std::string_view line) {
      if (auto words = parse_pull_error(line)) error = std::move(words);
    });
  };
  auto asked = request("POST", "/images/create?fromImage=" + http::percent_encode(image));
  if (!registry_auth.empty()) asked.fields.emplace_back("X-Registry-Auth", std::move(registry_auth));
  StreamedFetch fetch(client_, std::move(asked), kPullDeadline, std::move(on_body));
  Result<int> status = co_await fetch;
  if (!status) co_return fail(error_from(status.error()));
  if (*status != 200) co_return fail(RuntimeError{RuntimeError::Outcome::refused, docker_words(*status, refused_body)});
  if (error) co_return fail(RuntimeError{RuntimeError::Outcome::refused, *error});
  co_return Unit{};
}

Async<Outcome<CommandResult>> DockerClient::exec(std::string container, std::string command, Duration timeout) {
  nlohmann::json body{
      {"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", nlohmann::json::array({"/bin/sh", "-c", command})}};
  auto creating = call(request("POST", container_target(container, "/exec"), dump(body)));
  Answer created = co_await creating;
  if (!created) co_return fail(created.error());
  auto id = created->status == 201 ? parse_created_id(created->body) : std::nullopt;
  if (!id) co_return fail(refusal(*created));

  CommandResult result;
  LogDemux demux;
  std::function<void(int, std::string_view)> on_body = [&](int, std::string_view bytes) {
    std::string text;
    demux.feed(bytes, text);
    result.output += text.substr(0, kCommandOutputBytesMax - std::min(kCommandOutputBytesMax, result.output.size()));
  };
  StreamedFetch run(client_, request("POST", fmt::format("/exec/{}/start", *id), R"({"Detach":false,"Tty":false})"),
                    timeout, std::move(on_body));
  Result<int> ran = co_await run;

  auto inspecting = call(request("GET", fmt::format("/exec/{}/json", *id)));
  Answer inspected = co_await inspecting;
  if (!inspected) co_return fail(inspected.error());
  if (inspected->status != 200) co_return fail(refusal(*inspected));
  if (!ran) {
    nlohmann::json state = nlohmann::json::parse(inspected->body, nullptr, false);
    if (bool_of(state, "Running")) kill_exec(integer_of(state, "Pid"), text_of(state, "ContainerID"));
    co_return fail(error_from(ran.error()));
  }
  auto state = parse_exec_state(inspected->body);
  if (!state) co_return fail(RuntimeError{RuntimeError::Outcome::unknown, "Docker does not say how the command ended"});
  if (*ran != 200) co_return fail(RuntimeError{RuntimeError::Outcome::refused, docker_words(*ran, result.output)});
  result.exit_code = state->exit_code;
  co_return result;
}

Async<std::string> DockerClient::log_tail(std::string container, std::size_t bytes_max) {
  Slots::Acquire acquire(calls_);
  Slots::Permit permit = co_await acquire;
  std::string text;
  LogDemux demux;
  std::function<void(int, std::string_view)> on_body = [&](int status, std::string_view bytes) {
    if (status != 200) return;
    demux.feed(bytes, text);
    if (text.size() > 4 * bytes_max) keep_tail(text, bytes_max);
  };
  StreamedFetch fetch(client_, request("GET", container_target(container, "/logs?stdout=1&stderr=1&tail=1000")), 10s,
                      std::move(on_body));
  Result<int> status = co_await fetch;
  if (!status) co_return std::string();
  keep_tail(text, bytes_max);
  co_return text;
}

std::unique_ptr<LogFollower> DockerClient::follow_log(const std::string& container, LogCallbacks callbacks) {
  return std::make_unique<DockerLogFollower>(
      client_, request("GET", container_target(container, "/logs?stdout=1&stderr=1&follow=1&tail=1000")),
      std::move(callbacks));
}

}  // namespace lotse::agent
