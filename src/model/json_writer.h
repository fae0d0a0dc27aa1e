// Writes compact JSON straight into a string: what route snapshots and agent messages are made with, since a tree of
// nodes for 100,000 endpoints costs more than the text. Not a validator: the caller pairs begin and end. Bytes that are
// no UTF-8 (Docker's words, a process's last line) become U+FFFD, so the result is always valid JSON.
// Owned by the function that writes; any thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lotse::model {

class JsonWriter {
 public:
  explicit JsonWriter(std::size_t expected_bytes = 256) { out_.reserve(expected_bytes); }

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  void key(std::string_view name);

  void value(std::string_view text);
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(const char* text) { value(std::string_view(text)); }
  void value(bool flag);
  void value(double number);  // shortest text that reads back the same; whole numbers without a point; NaN and inf as 0
  template <std::integral Integer>
  void value(Integer number) {
    if constexpr (std::is_signed_v<Integer>) {
      signed_value(static_cast<std::int64_t>(number));
    } else {
      unsigned_value(static_cast<std::uint64_t>(number));
    }
  }
  void value(const std::map<std::string, std::string>& members);
  void value(const std::vector<std::string>& items);
  void value(const std::vector<int>& items);
  void raw(std::string_view json);  // JSON made elsewhere

  template <typename T>
  void member(std::string_view name, const T& of) {
    key(name);
    value(of);
  }

  std::string take() { return std::move(out_); }
  std::size_t bytes() const { return out_.size(); }

 private:
  void open(char bracket);
  void close(char bracket);
  void separate();
  void signed_value(std::int64_t number);
  void unsigned_value(std::uint64_t number);

  std::string out_;
  bool needs_comma_ = false;
};

// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace lotse::model
