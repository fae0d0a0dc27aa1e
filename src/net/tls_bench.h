// The workbench that all TLS streams of one loop share: buffers that are needed only while one of them is at work, and
// the queue of handshakes that wait for the next turn so that a flood of them does not stop the loop's other
// connections. Owned by the Loop; one loop thread. For net's .cc files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "base/clock.h"

namespace lotse::net {

class Loop;

class HandshakeWork {  // a stream with bytes of a handshake that nobody has looked at
 public:
  virtual void resume_handshake() = 0;  // may destroy itself

 protected:
  ~HandshakeWork() = default;
};

class TlsBench {
 public:
  explicit TlsBench(Loop& loop);

  static constexpr std::size_t kRecordBytes = 16 * 1024;  // the most that one record carries (RFC 8446 section 5.1)

  // What one read of the loop's buffer can decrypt to, with a record that was incomplete before.
  std::span<char> plain() { return {plain_.get(), kPlainBytes}; }
  std::span<char> sealed() { return {sealed_.get(), kSealedBytes}; }  // records on their way to the socket
  std::span<char> record() { return {record_.get(), kRecordBytes}; }  // small pieces become one record here

  // Handshakes may take kHandshakeTimePerTurn of a turn, at least one of them. What comes later waits in order.
  bool has_time() const;
  void spend(Duration time);
  std::uint64_t wait(HandshakeWork& work);  // a ticket for forget()
  void forget(std::uint64_t ticket);
  std::size_t waiting() const { return waiting_count_; }

 private:
  static constexpr std::size_t kPlainBytes = 96 * 1024;
  static constexpr std::size_t kSealedBytes = 96 * 1024;
  static constexpr Duration kHandshakeTimePerTurn = std::chrono::milliseconds(1);

  void run_later();
  void run();

  Loop& loop_;
  std::unique_ptr<char[]> plain_, sealed_, record_;
  std::uint64_t turn_ = 0;  // the turn that spent_ belongs to
  Duration spent_{};
  std::deque<HandshakeWork*> waiting_;  // null: it has gone
  std::uint64_t first_ticket_ = 0;
  std::size_t waiting_count_ = 0;
  bool is_scheduled_ = false;
};

}  // namespace lotse::net
