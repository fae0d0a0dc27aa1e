// The keys that session tickets are sealed with, shared by every context and worker of the process, so that a client
// resumes wherever it lands. Rotated by their owner; the keys before open tickets for a while. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace lotse::net {

class TlsTicketKeys {
 public:
  // A ticket opens with the newest key and as many before it. With one rotation every `kRotation`, a ticket lives
  // longer than kLifetime promises and not longer than three rotations; so long can a stolen key open recorded TLS 1.2
  // sessions.
  static constexpr std::size_t kKeysMax = 3;
  static constexpr Duration kRotation = std::chrono::hours(4);
  static constexpr Duration kLifetime = std::chrono::hours(8);

  TlsTicketKeys();  // with a fresh key
  void rotate();    // a fresh key seals from now on; one thread at a time

  // For the process that takes over. restore() is false, and changes nothing, when the bytes are not of this form.
  std::string serialize() const;
  bool restore(std::string_view bytes);

  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher, mac;
  };
  using Keys = std::vector<Key>;  // the newest first
  std::shared_ptr<const Keys> keys() const { return keys_.load(); }

 private:
  std::atomic<std::shared_ptr<const Keys>> keys_;
};

}  // namespace lotse::net
