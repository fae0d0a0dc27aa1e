// Accepting, over uv_poll_t and accept4 rather than uv_listen: libuv always holds one accepted connection of a paused
// listener, and when descriptors run out it accepts and drops clients. Here the kernel's queue keeps them.
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/timers.h"
#include "net/uv_error.h"
#include "net/uv_handle.h"
#include "net/uv_stream.h"

namespace lotse::net {
namespace {

using std::chrono::milliseconds;

constexpr int kAcceptsPerTurnMax = 64;       // then the connections we have get their turn
constexpr milliseconds kPauseWhenFull{100};  // out of descriptors: time for some to be closed
constexpr milliseconds kLogInterval{1000};

class PollListener final : public Listener {
 public:
  PollListener(Loop& loop, UniqueFd fd, std::function<void(std::unique_ptr<Stream>)> on_accept)
      : loop_(loop),
        fd_(std::move(fd)),
        address_(local_address(fd_.get())),
        on_accept_(std::move(on_accept)),
        retry_(loop.timers(), [this] { watch(); }) {}
  ~PollListener() override {
    if (gone_ != nullptr) *gone_ = true;
    handle_.close();  // stops polling at once, so the descriptor may close now
  }

  int open();
  void pause() override;
  void resume() override;
  bool ignore_new_clients() override;
  bool accept_all_queued() override;
  Address address() const override { return address_; }

 private:
  using Handle = UvHandle<uv_poll_t, PollListener>;
  enum class Outcome : std::uint8_t { accepted, none_waiting, out_of_resources };

  void watch();
  bool accept_some();  // true: nothing is left waiting
  Outcome accept_one(const std::function<void(std::unique_ptr<Stream>)>& on_accept);
  void wait_for_resources(int code);

  Loop& loop_;
  UniqueFd fd_;
  Address address_;
  std::function<void(std::unique_ptr<Stream>)> on_accept_;
  Handle handle_;
  Timer retry_;
  Instant last_logged_{};
  bool is_paused_ = false;
  bool wants_all_ = false;  // accept_all_queued() is under way
  bool* gone_ = nullptr;    // set while on_accept may destroy us
};

int PollListener::open() {
  // accept4's connections inherit it: one system call for the listener instead of one for each of them.
  int on = 1;
  if (!address_.is_unix()) setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int code = handle_.open(*this, [&](uv_poll_t* raw) { return uv_poll_init(loop_.raw(), raw, fd_.get()); });
  if (code == 0) watch();
  return code;
}

void PollListener::watch() {
  if (is_paused_) return;
  uv_poll_start(handle_.raw(), UV_READABLE, [](uv_poll_t* raw, int, int) {
    if (PollListener* self = Handle::owner_of(raw); self != nullptr) self->accept_some();
  });
}

void PollListener::pause() {
  is_paused_ = true;
  retry_.stop();
  uv_poll_stop(handle_.raw());
}

void PollListener::resume() {
  if (!std::exchange(is_paused_, false)) return;
  watch();
}

// A socket filter sees every packet for this listener from its TCP header on: a SYN without ACK (flags in byte 13) is
// dropped. Accepted connections inherit the filter, which never matches there.
bool PollListener::ignore_new_clients() {
  if (address_.is_unix()) return false;
  constexpr std::uint32_t kFlagsAt = 13, kSynAndAck = 0x12, kSyn = 0x02, kDrop = 0, kKeep = 0xffffffff;
  std::array<sock_filter, 5> code{{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlagsAt),
                                   BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSynAndAck),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1), BPF_STMT(BPF_RET | BPF_K, kDrop),
                                   BPF_STMT(BPF_RET | BPF_K, kKeep)}};
  sock_fprog program{.len = code.size(), .filter = code.data()};
  return setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

bool PollListener::accept_all_queued() {
  wants_all_ = true;
  return gone_ == nullptr && accept_some();  // else the call that is under way goes on to the end
}

bool PollListener::accept_some() {
  bool gone = false, none_left = false;
  gone_ = &gone;
  auto on_accept = std::move(on_accept_);  // so that it outlives us if it destroys us
  for (int count = 0; wants_all_ || (count < kAcceptsPerTurnMax && !is_paused_); ++count) {
    Outcome outcome = accept_one(on_accept);
    if (gone) return false;
    if (outcome == Outcome::out_of_resources) wait_for_resources(errno);
    none_left = outcome == Outcome::none_waiting;
    if (outcome != Outcome::accepted) break;
  }
  gone_ = nullptr;
  wants_all_ = false;
  on_accept_ = std::move(on_accept);
  return none_left;
}

PollListener::Outcome PollListener::accept_one(const std::function<void(std::unique_ptr<Stream>)>& on_accept) {
  sockaddr_storage raw{};
  socklen_t length = sizeof raw;
  UniqueFd fd(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&raw), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Outcome::none_waiting;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM || errno == EBADF ||
        errno == EINVAL) {
      return Outcome::out_of_resources;
    }
    return Outcome::accepted;  // ECONNABORTED, EINTR, errors of that one connection (accept(2)): the next may be fine
  }
  Address peer = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), length);
  auto stream = UvStream::adopt(loop_, std::move(fd), address_.raw()->sa_family, peer);
  if (stream) on_accept(std::move(*stream));
  return Outcome::accepted;
}

void PollListener::wait_for_resources(int code) {
  uv_poll_stop(handle_.raw());
  retry_.start(kPauseWhenFull);
  if (loop_.now() - last_logged_ < kLogInterval) return;
  last_logged_ = loop_.now();
  log::warn("net", "cannot accept on {}: {}; trying again in {} ms", address_.to_string(),
            describe(error_from_uv(uv_translate_sys_error(code))), kPauseWhenFull.count());
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, UniqueFd fd,
                                                 std::function<void(std::unique_ptr<Stream>)> on_accept) {
  auto listener = std::make_unique<PollListener>(loop, std::move(fd), std::move(on_accept));
  if (int code = listener->open(); code != 0) return fail(error_from_uv(code));
  return std::unique_ptr<Listener>(std::move(listener));
}

}  // namespace lotse::net
