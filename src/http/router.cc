#include <algorithm>

#include "base/check.h"
#include "http/message.h"
#include "http/server.h"
#include "http/text.h"
#include "http/url.h"

namespace lotse::http {

namespace {

// Without the empty ones: doubled slashes and a slash at the end mean nothing to us.
std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) segments.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return segments;
}

bool is_capture(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

bool matches(const std::vector<std::string>& pattern, bool takes_rest, const std::vector<std::string_view>& segments) {
  if (takes_rest ? segments.size() < pattern.size() : segments.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_capture(pattern[i]) && pattern[i] != segments[i]) return false;
  }
  return true;
}

// False: a bad escape.
bool take_captures(const std::vector<std::string>& pattern, bool takes_rest,
                   const std::vector<std::string_view>& segments, std::vector<std::string>& captures) {
  captures.clear();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool is_rest = takes_rest && i + 1 >= pattern.size();
    if (!is_rest && !is_capture(pattern[i])) continue;
    auto decoded = percent_decode(segments[i]);
    if (!decoded) return false;
    if (is_rest && i + 1 > pattern.size()) {
      captures.back() += '/';
      captures.back() += *decoded;
    } else {
      captures.push_back(std::move(*decoded));
    }
  }
  return true;
}

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  Route route{.method = std::string(method), .handler = std::move(handler)};
  for (const std::string_view segment : segments_of(pattern)) {
    CHECK(!route.takes_rest);  // only the last one may
    route.takes_rest = segment.ends_with("...}");
    route.segments.emplace_back(segment);
  }
  routes_.push_back(std::move(route));
}

void Router::set_fallback(Handler handler) { fallback_ = std::move(handler); }

void Router::dispatch(ServerRequest& request, Responder responder) const {
  const std::vector<std::string_view> segments = segments_of(request.path);
  const auto answers = [&](const Route& route, std::string_view method) {
    return route.method == method && matches(route.segments, route.takes_rest, segments);
  };
  const auto find = [&](std::string_view method) {
    return std::find_if(routes_.begin(), routes_.end(), [&](const Route& route) { return answers(route, method); });
  };
  auto found = find(request.method);
  if (found == routes_.end() && request.method == "HEAD") found = find("GET");  // the connection leaves the body out
  if (found != routes_.end()) {
    if (!take_captures(found->segments, found->takes_rest, segments, request.captures)) {
      return responder.respond({.status = 400, .body = R"({"message":"bad percent-encoding in the path"})"});
    }
    return found->handler(request, std::move(responder));
  }
  std::string allowed;
  for (const Route& route : routes_) {
    if (!matches(route.segments, route.takes_rest, segments) || list_has_token(allowed, route.method)) continue;
    allowed += (allowed.empty() ? "" : ", ") + route.method;
    if (route.method == "GET") allowed += ", HEAD";
  }
  if (!allowed.empty()) {
    return responder.respond(
        {.status = 405, .fields = {{"Allow", allowed}}, .body = R"({"message":"Method Not Allowed"})"});
  }
  if (fallback_) return fallback_(request, std::move(responder));
  responder.respond({.status = 404, .body = R"({"message":"Not Found"})"});
}

std::optional<std::string_view> ServerRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return std::nullopt;
}

static bool is_word(std::string_view text, std::string_view word) {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) { return lower(a) == b; });
}

bool ServerRequest::flag(std::string_view name, bool otherwise) const {
  const auto value = parameter(name);
  if (!value) return otherwise;
  if (is_word(*value, "true") || *value == "1" || value->empty()) return true;  // Python sends "True"
  if (is_word(*value, "false") || *value == "0") return false;
  return otherwise;
}

}  // namespace lotse::http
