// Docker's multiplexed log stream (8 bytes of head: stream, 0, 0, 0, length big-endian; then payload) turned into the
// text it carries. A container with a tty has no heads; then bytes pass as they are. Split anywhere; nothing is kept
// but the head under way. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace lotse::agent {

class LogDemux {
 public:
  explicit LogDemux(bool has_tty = false) : has_tty_(has_tty) {}
  void feed(std::string_view bytes, std::string& out) {
    if (has_tty_) {
      out += bytes;
      return;
    }
    while (!bytes.empty()) {
      if (payload_left_ > 0) {
        std::string_view piece = bytes.substr(0, payload_left_);
        out += piece;
        payload_left_ -= piece.size();
        bytes.remove_prefix(piece.size());
        continue;
      }
      head_[head_bytes_++] = static_cast<std::uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      // A first byte that is no stream number: heads are missing after all.
      if (head_bytes_ == 1 && head_[0] > 3) {
        has_tty_ = true;
        out += static_cast<char>(head_[0]);
        out += bytes;
        return;
      }
      if (head_bytes_ < head_.size()) continue;
      head_bytes_ = 0;
      payload_left_ = std::size_t{head_[4]} << 24 | std::size_t{head_[5]} << 16 | std::size_t{head_[6]} << 8 | head_[7];
    }
  }

 private:
  bool has_tty_;
  std::array<std::uint8_t, 8> head_{};
  std::size_t head_bytes_ = 0, payload_left_ = 0;
};

// The last `bytes_max` of a text, beginning at a line where one begins there.
inline void keep_tail(std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return;
  std::size_t cut = text.size() - bytes_max;
  std::size_t line = text.find('\n', cut);
  if (line != std::string::npos && line + 1 < text.size()) cut = line + 1;
  text.erase(0, cut);
}

}  // namespace lotse::agent
