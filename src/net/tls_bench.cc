#include "net/tls_bench.h"

#include "net/loop.h"

namespace lotse::net {

TlsBench::TlsBench(Loop& loop)
    : loop_(loop),
      plain_(std::make_unique_for_overwrite<char[]>(kPlainBytes)),
      sealed_(std::make_unique_for_overwrite<char[]>(kSealedBytes)),
      record_(std::make_unique_for_overwrite<char[]>(kRecordBytes)) {}

bool TlsBench::has_time() const {
  return waiting_count_ == 0 && (turn_ != loop_.turns() || spent_ < kHandshakeTimePerTurn);
}

void TlsBench::spend(Duration time) {
  if (turn_ != loop_.turns()) {
    turn_ = loop_.turns();
    spent_ = {};
  }
  spent_ += time;
}

std::uint64_t TlsBench::wait(HandshakeWork& work) {
  waiting_.push_back(&work);
  ++waiting_count_;
  run_later();
  return first_ticket_ + waiting_.size() - 1;
}

void TlsBench::forget(std::uint64_t ticket) {
  if (ticket < first_ticket_) return;
  HandshakeWork*& place = waiting_[ticket - first_ticket_];
  if (place == nullptr) return;
  place = nullptr;
  --waiting_count_;
}

void TlsBench::run_later() {
  if (is_scheduled_) return;
  is_scheduled_ = true;
  loop_.defer([this] { run(); });
}

// At least one, so that a single slow key cannot stop the queue.
void TlsBench::run() {
  is_scheduled_ = false;
  bool is_first = turn_ != loop_.turns();
  while (!waiting_.empty() && (is_first || spent_ < kHandshakeTimePerTurn)) {
    HandshakeWork* work = waiting_.front();
    waiting_.pop_front();
    ++first_ticket_;
    if (work == nullptr) continue;
    --waiting_count_;
    work->resume_handshake();
    is_first = false;
  }
  if (!waiting_.empty()) run_later();
}

}  // namespace lotse::net
