// Listeners for tests: everything a parser says, written down as one text, so that two runs can be compared.
#pragma once

#include <fmt/format.h>

#include <string>

#include "http/h1_parser.h"

namespace lotse::http {

inline std::string text_of(std::span<const Field> fields) {
  std::string out;
  for (const Field& field : fields) out += fmt::format("  {}: {}\n", field.name, field.value);
  return out;
}

// Neighbouring body pieces are joined: how they are cut is allowed to differ.
class Recorder final : public RequestListener, public ResponseListener {
 public:
  void on_request_head(const RequestHead& head) override {
    text += fmt::format("{} {} path={} query={} authority={} 1.{}", head.method_text, head.target, head.path,
                        head.has_query ? head.query : "-", head.authority, head.minor_version);
    add_framing(head.is_chunked, head.content_length, head.keep_alive);
    if (head.expects_continue) text += " continue";
    if (!head.upgrade.empty()) text += fmt::format(" upgrade={}", head.upgrade);
    text += "\n" + text_of(head.fields);
  }
  void on_request_body(std::span<const char> bytes) override { add_body(bytes); }
  void on_request_trailers(std::span<const Field> trailers) override {
    end_body();
    text += "trailers\n" + text_of(trailers);
  }
  void on_request_complete() override { complete(); }

  void on_response_head(const ResponseHead& head) override {
    text += fmt::format("{} '{}' 1.{}", head.status, head.reason, head.minor_version);
    add_framing(head.is_chunked, head.content_length, head.keep_alive);
    if (head.is_bodiless) text += " bodiless";
    if (head.ends_with_connection) text += " until-close";
    text += "\n" + text_of(head.fields);
  }
  void on_response_body(std::span<const char> bytes) override { add_body(bytes); }
  void on_response_trailers(std::span<const Field> trailers) override { on_request_trailers(trailers); }
  void on_response_complete() override { complete(); }

  std::string text;

 private:
  void add_framing(bool is_chunked, std::optional<std::uint64_t> length, bool keep_alive) {
    if (is_chunked) text += " chunked";
    if (length) text += fmt::format(" length={}", *length);
    if (!keep_alive) text += " close";
  }
  void add_body(std::span<const char> bytes) {
    if (bytes.empty()) return;
    if (!in_body_) text += "body ";
    in_body_ = true;
    text.append(bytes.data(), bytes.size());
  }
  void complete() {
    end_body();
    text += "complete\n";
  }
  void end_body() {
    if (in_body_) text += "\n";
    in_body_ = false;
  }
  bool in_body_ = false;
};

}  // namespace lotse::http
