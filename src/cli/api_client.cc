#include "cli/api_client.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "net/timers.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

std::string details_text(const json& details) {
  if (details.is_string()) return details.get<std::string>();
  std::string text;
  if (!details.is_array()) return text;
  for (const json& detail : details) {
    if (!detail.is_object()) continue;
    for (const json& error : detail.value("errors", json::array())) {
      if (!text.empty()) text += "; ";
      text +=
          detail.value("path", std::string("/")) + ": " + (error.is_string() ? error.get<std::string>() : error.dump());
    }
  }
  return text;
}

class StreamToCallback final : public http::ClientListener {
 public:
  StreamToCallback(net::Loop& loop, const std::function<void(std::string_view)>& on_bytes)
      : loop_(loop), on_bytes_(on_bytes) {}
  void on_head(int status, const http::Fields&) override { answer.status = status; }
  void on_body(std::string_view bytes) override {
    if (answer.is_success())
      on_bytes_(bytes);
    else if (answer.body.size() < 64 * 1024)
      answer.body += bytes;
  }
  void on_complete() override { loop_.stop(); }
  void on_failed(Error error) override {
    failure = error;
    loop_.stop();
  }
  ApiAnswer answer;
  std::optional<Error> failure;

 private:
  net::Loop& loop_;
  const std::function<void(std::string_view)>& on_bytes_;
};

}  // namespace

Result<ApiClient, Problem> ApiClient::open(std::string_view base) {
  std::string text(base);
  if (text.find("://") == std::string::npos && !text.starts_with("unix:")) text = "http://" + text;
  auto url = http::parse_url(text);
  if (!url) return fail(url.error());
  while (text.ends_with('/')) text.pop_back();
  return ApiClient(std::move(text), url->endpoint);
}

ApiClient::ApiClient(std::string base, http::Endpoint endpoint)
    : base_(std::move(base)),
      endpoint_(std::move(endpoint)),
      loop_(std::make_unique<net::Loop>()),
      client_(std::make_unique<http::Client>(*loop_)) {}
ApiClient::ApiClient(ApiClient&&) noexcept = default;
ApiClient::~ApiClient() = default;

Problem ApiClient::unreachable(const Error& error) const {
  return {"", fmt::format("no answer from {}: {}", base_, to_string(error.code))};
}

Result<ApiAnswer, Problem> ApiClient::call(std::string method, std::string target, std::string body) {
  http::ClientRequest request;
  request.method = std::move(method);
  request.endpoint = endpoint_;
  request.target = std::move(target);
  request.fields = {{"Accept", "application/json"}};
  if (!body.empty()) request.fields.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  std::optional<Result<http::ClientResponse>> answer;
  auto call = client_->send(std::move(request), [&](Result<http::ClientResponse> result) {
    answer.emplace(std::move(result));
    loop_->stop();
  });
  loop_->run();
  if (!*answer) return fail(unreachable(answer->error()));
  return ApiAnswer{(*answer)->status, std::move((*answer)->body)};
}

Result<ApiAnswer, Problem> ApiClient::expect_success(std::string method, std::string target, std::string body) {
  auto answer = call(std::move(method), std::move(target), std::move(body));
  if (answer && !answer->is_success()) return fail(Problem{"", error_text(*answer)});
  return answer;
}

Result<ApiAnswer, Problem> ApiClient::stream(std::string target,
                                             const std::function<void(std::string_view)>& on_bytes) {
  http::ClientRequest request;
  request.endpoint = endpoint_;
  request.target = std::move(target);
  StreamToCallback listener(*loop_, on_bytes);
  auto call = client_->stream(std::move(request), listener);
  loop_->run();
  if (listener.failure) return fail(unreachable(*listener.failure));
  if (!listener.answer.is_success()) return fail(Problem{"", error_text(listener.answer)});
  return std::move(listener.answer);
}

void ApiClient::wait(Duration duration) {
  net::Timer timer(loop_->timers(), [this] { loop_->stop(); });
  timer.start(duration);
  loop_->run();
}

std::string error_text(const ApiAnswer& answer) {
  json body = json::parse(answer.body, nullptr, false);
  if (!body.is_object()) {
    std::string text = answer.body.substr(0, 500);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text.empty() ? fmt::format("the server answered {}", answer.status) : text;
  }
  std::string text = body.contains("message") && body["message"].is_string()
                         ? body["message"].get<std::string>()
                         : fmt::format("the server answered {}", answer.status);
  if (body.contains("details")) {
    std::string details = details_text(body["details"]);
    if (!details.empty()) text += ": " + details;
  }
  return text;
}

}  // namespace lotse::cli
