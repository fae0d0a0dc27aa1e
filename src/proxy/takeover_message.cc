#include "proxy/takeover_message.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/json_reader.h"
#include "model/json_text.h"

namespace lotse::proxy {
namespace {

using Kind = TakeoverMessage::Kind;

constexpr std::array<std::pair<Kind, std::string_view>, 10> kNames{{{Kind::hello, "hello"},
                                                                    {Kind::refused, "refused"},
                                                                    {Kind::offer, "offer"},
                                                                    {Kind::sockets, "sockets"},
                                                                    {Kind::complete, "complete"},
                                                                    {Kind::ready, "ready"},
                                                                    {Kind::yours, "yours"},
                                                                    {Kind::done, "done"},
                                                                    {Kind::main, "main"},
                                                                    {Kind::released, "released"}}};
constexpr std::size_t kListenersMax = 1024, kTextBytesMax = 4096;

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void read_hex(const model::JsonReader& json, std::string& bytes) {
  std::string text;
  json.to(text);
  if (text.size() % 2 != 0 || text.size() > kTextBytesMax) return json.complain("expected an even number of digits");
  bytes.clear();
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit_of(text[i]), low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return json.complain("expected hexadecimal digits");
    bytes += static_cast<char>(high * 16 + low);
  }
}

void read_text(const model::JsonReader& json, std::string& target) {
  json.to(target);
  if (target.size() > kTextBytesMax) json.complain("is too long");
}

void read_formats(const model::JsonReader& json, TakeoverMessage& message) {
  json["least"].required().to(message.format_least, 1, 1'000'000);
  json["most"].required().to(message.format_most, 1, 1'000'000);
  if (message.format_least > message.format_most) json.complain("least is more than most");
}

void read_members(const model::JsonReader& json, TakeoverMessage& message) {
  switch (message.kind) {
    case Kind::hello:
      read_text(json["version"], message.version);
      return read_formats(json["formats"].required(), message);
    case Kind::refused:
      return read_text(json["why"].required(), message.why);
    case Kind::offer:
      read_text(json["version"], message.version);
      json["format"].required().to(message.format, 1, 1'000'000);
      json["takeovers"].to(message.takeovers);
      json["ticketRotationSeconds"].to(message.ticket_rotation_seconds);
      return read_hex(json["ticketKeys"], message.ticket_keys);
    case Kind::sockets:
      json["admin"].to(message.is_admin);
      return read_text(json["listener"].required(), message.listener);
    case Kind::ready:
      json["admin"].to(message.adopts_admin);
      return json["adopted"].required().each([&](const model::JsonReader& item) {
        if (message.adopted.size() >= kListenersMax) return item.complain("one listener too many");
        read_text(item, message.adopted.emplace_back());
      });
    case Kind::unknown:
    case Kind::complete:
    case Kind::yours:
    case Kind::done:
    case Kind::main:
    case Kind::released:
      return;
  }
}

void write_members(const TakeoverMessage& message, nlohmann::json& json) {
  if (message.kind == Kind::hello) {
    json["version"] = message.version;
    json["formats"] = {{"least", message.format_least}, {"most", message.format_most}};
  } else if (message.kind == Kind::refused) {
    json["why"] = message.why;
  } else if (message.kind == Kind::offer) {
    json["version"] = message.version;
    json["format"] = message.format;
    json["takeovers"] = message.takeovers;
    json["ticketKeys"] = to_hex(message.ticket_keys);
    json["ticketRotationSeconds"] = message.ticket_rotation_seconds;
  } else if (message.kind == Kind::sockets) {
    json["listener"] = message.listener;
    json["admin"] = message.is_admin;
  } else if (message.kind == Kind::ready) {
    json["adopted"] = message.adopted;
    json["admin"] = message.adopts_admin;
  }
}

}  // namespace

std::string serialize(const TakeoverMessage& message) {
  nlohmann::json json = {{"kind", "unknown"}};
  for (const auto& [kind, name] : kNames) {
    if (kind == message.kind) json["kind"] = name;
  }
  write_members(message, json);
  return model::to_text(json);
}

Result<TakeoverMessage, Problem> parse_takeover_message(std::string_view text) {
  if (text.size() > kTakeoverMessageBytesMax) return fail(Problem{"takeover", "a message is too long"});
  auto value = model::parse_json_text(text);
  if (!value) return fail(value.error());
  Problem problem;
  const model::JsonReader json(*value, problem);
  if (!json.expect_object()) return fail(problem);
  std::string name;
  json["kind"].required().to(name);
  TakeoverMessage message;
  for (const auto& [kind, known] : kNames) {
    if (name == known) message.kind = kind;
  }
  read_members(json, message);
  if (json.has_problem()) return fail(problem);
  return message;
}

}  // namespace lotse::proxy
