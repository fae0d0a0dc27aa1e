#include "net/loop.h"
#include "net/process.h"
#include "net/uv_handle.h"

namespace lotse::net {
namespace {

class UvSignalWatch final : public SignalWatch {
 public:
  UvSignalWatch(Loop& loop, int signal, std::function<void()> on_signal)
      : on_signal_(std::make_shared<std::function<void()>>(std::move(on_signal))) {
    CHECK(handle_.open(*this, [&](uv_signal_t* raw) { return uv_signal_init(loop.raw(), raw); }) == 0);
    auto received = [](uv_signal_t* raw, int) {
      if (UvSignalWatch* self = Handle::owner_of(raw); self != nullptr) {
        auto callback = self->on_signal_;  // it may destroy us
        (*callback)();
      }
    };
    CHECK(uv_signal_start(handle_.raw(), received, signal) == 0);  // fails for SIGKILL and the like: a bug of ours
  }

 private:
  using Handle = UvHandle<uv_signal_t, UvSignalWatch>;
  std::shared_ptr<std::function<void()>> on_signal_;
  Handle handle_;
};

}  // namespace

std::unique_ptr<SignalWatch> SignalWatch::open(Loop& loop, int signal, std::function<void()> on_signal) {
  return std::make_unique<UvSignalWatch>(loop, signal, std::move(on_signal));
}

}  // namespace lotse::net
