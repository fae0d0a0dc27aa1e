#include "net/loop.h"

#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "net/process_box.h"
#include "net/splice_pipe.h"
#include "net/timers.h"
#include "net/tls_bench.h"

namespace lotse::net {
namespace {

using Works = std::vector<std::function<void()>>;

constexpr std::size_t kReadBufferBytes = 64 * 1024;

// Writing to a socket whose peer has gone must be an error code (EPIPE), not the end of the process.
void ignore_sigpipe() {
  static const bool done = [] {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
    return true;
  }();
  static_cast<void>(done);
}

template <typename Raw>
uv_handle_t* as_handle(Raw* raw) {
  return reinterpret_cast<uv_handle_t*>(raw);
}

}  // namespace

// The handles here live as long as the Impl, which outlives its uv_loop_t: no box needed.
struct Loop::Impl final : TimerDriver {
  Impl();
  ~Impl();

  Instant now() override;
  void wake_at(Instant time) override;
  void wake_never() override { uv_timer_stop(&timer); }
  void on_armed(bool any) override;

  void run(uv_run_mode mode);
  void on_wake();
  bool run_posted();  // was there any?
  void run_deferred();
  void end_turn();
  static Impl& of(const auto* handle) { return *static_cast<Impl*>(handle->data); }

  uv_loop_t loop{};
  uv_async_t async{};
  uv_prepare_t prepare{};
  uv_check_t check{};
  uv_idle_t idle{};  // active while something is deferred: the next poll does not wait
  uv_timer_t timer{};

  SystemClock clock;
  Instant now_{};
  std::uint64_t now_of_ms = 0;  // the uv_now() that now_ belongs to
  bool has_polled = false;      // nobody has asked for the time since
  Instant turn_began{};
  bool is_running = false;

  std::mutex mutex;
  Works posted;  // guarded by the mutex
  std::atomic<bool> stop_wanted = false;
  Works deferred, running;
  std::function<void()> after_poll;

  std::uint64_t turn_count = 0;
  LoopLoad load;
  std::array<char, kReadBufferBytes> buffer;
  std::unique_ptr<TlsBench> tls_bench;
  SplicePipes splice_pipes;
  std::unique_ptr<Timers> timers;  // last: it asks us for the time
};

namespace {

// The loop whose run() this thread is in: stop() from there needs no wake-up.
thread_local const void* running_on_this_thread = nullptr;

}  // namespace

Loop::Impl::Impl() {
  ignore_sigpipe();
  CHECK(uv_loop_init(&loop) == 0);
  uv_async_init(&loop, &async, [](uv_async_t* handle) { of(handle).on_wake(); });
  uv_prepare_init(&loop, &prepare);
  uv_check_init(&loop, &check);
  uv_idle_init(&loop, &idle);
  uv_timer_init(&loop, &timer);
  loop.data = async.data = prepare.data = check.data = idle.data = timer.data = this;

  uv_prepare_start(&prepare, [](uv_prepare_t* handle) {
    of(handle).run_deferred();
    of(handle).end_turn();
  });
  uv_check_start(&check, [](uv_check_t* handle) {
    Impl& self = of(handle);
    if (self.after_poll) self.after_poll();
    self.run_deferred();
  });
  uv_unref(as_handle(&prepare));
  uv_unref(as_handle(&check));
  uv_unref(as_handle(&timer));
  timers = std::make_unique<Timers>(*this);
}

Loop::Impl::~Impl() {
  // Work that never ran may own streams and timers: it goes first, while there is a loop to close them on.
  for (;;) {
    Works dropped = std::exchange(deferred, {});
    {
      std::lock_guard lock(mutex);
      std::move(posted.begin(), posted.end(), std::back_inserter(dropped));
      posted.clear();
    }
    if (dropped.empty()) break;
  }
  CHECK(timers->armed() == 0);
  for (auto* handle :
       {as_handle(&async), as_handle(&prepare), as_handle(&check), as_handle(&idle), as_handle(&timer)}) {
    uv_close(handle, nullptr);
  }
  // An owner that still has its handle would make the last run wait for ever: better to stop here and name it.
  uv_walk(
      &loop,
      [](uv_handle_t* handle, void*) {
        if (uv_is_closing(handle)) return;
        if (handle->type == UV_PROCESS) return close_detached_process(handle);
        log::error("net", "a {} handle outlives its loop", uv_handle_type_name(handle->type));
        CHECK(uv_is_closing(handle));
      },
      nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

// The first question after a poll reads the clock, which stands for the whole turn: callbacks of one turn see one time,
// without a system call each, and suspends count (CLOCK_BOOTTIME). When libuv's own time moves on before its timers
// run, ours follows. libuv's measuring of idle time (UV_METRICS_IDLE_TIME) is not used: it polls twice per turn.
Instant Loop::Impl::now() {
  if (!is_running) {
    uv_update_time(&loop);
    return clock.now();
  }
  std::uint64_t ms = uv_now(&loop);
  if (has_polled || ms != now_of_ms) {
    now_of_ms = ms;
    now_ = clock.now();
    if (std::exchange(has_polled, false)) turn_began = now_;
  }
  return now_;
}

void Loop::Impl::wake_at(Instant time) {
  auto delay = std::chrono::ceil<std::chrono::milliseconds>(time - now());
  auto milliseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(delay.count(), 0));
  uv_timer_start(
      &timer, [](uv_timer_t* handle) { of(handle).timers->run_due(); }, milliseconds, 0);
}

void Loop::Impl::on_armed(bool any) { any ? uv_ref(as_handle(&timer)) : uv_unref(as_handle(&timer)); }

void Loop::Impl::run(uv_run_mode mode) {
  CHECK(!is_running);
  const void* outer = std::exchange(running_on_this_thread, this);
  uv_update_time(&loop);
  now_of_ms = uv_now(&loop);
  turn_began = now_ = clock.now();
  has_polled = false;
  is_running = true;
  // Without keep-alive the wake-up handle does not count as a reason to stay, but what was posted does.
  do uv_run(&loop, mode);
  while (mode == UV_RUN_DEFAULT && !stop_wanted && run_posted());
  is_running = false;
  stop_wanted = false;
  running_on_this_thread = outer;
}

void Loop::Impl::on_wake() {
  static_cast<void>(now());  // the turn begins here, whether or not somebody asks
  if (stop_wanted) uv_stop(&loop);
  run_posted();
}

bool Loop::Impl::run_posted() {
  Works works;
  {
    std::lock_guard lock(mutex);
    works.swap(posted);
  }
  for (auto& work : works) std::exchange(work, nullptr)();  // what it owns goes before the next one runs
  return !works.empty();
}

// One batch: what the batch defers itself comes after the next poll, so that nobody starves the sockets.
void Loop::Impl::run_deferred() {
  if (deferred.empty()) return;
  running.swap(deferred);
  for (auto& work : running) std::exchange(work, nullptr)();
  running.clear();
  if (deferred.empty()) uv_idle_stop(&idle);
}

// Right before polling. A turn in which nobody asked for the time did nothing worth counting.
void Loop::Impl::end_turn() {
  ++turn_count;
  if (!std::exchange(has_polled, true)) load.add(clock.now() - turn_began);
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() { CHECK(!impl_->is_running); }

void Loop::run() { impl_->run(UV_RUN_DEFAULT); }
void Loop::run_once_ready() { impl_->run(UV_RUN_NOWAIT); }
void Loop::run_once() { impl_->run(UV_RUN_ONCE); }

void Loop::stop() {
  impl_->stop_wanted = true;
  if (running_on_this_thread == impl_.get()) {
    uv_stop(&impl_->loop);
  } else {
    uv_async_send(&impl_->async);
  }
}

void Loop::set_keep_alive(bool keep_alive) {
  auto* handle = as_handle(&impl_->async);
  keep_alive ? uv_ref(handle) : uv_unref(handle);
}

void Loop::post(std::function<void()> work) {
  bool was_empty = false;
  {
    std::lock_guard lock(impl_->mutex);
    was_empty = impl_->posted.empty();
    impl_->posted.push_back(std::move(work));
  }
  if (was_empty) uv_async_send(&impl_->async);
}

void Loop::set_after_poll(std::function<void()> work) { impl_->after_poll = std::move(work); }

void Loop::defer(std::function<void()> work) {
  impl_->deferred.push_back(std::move(work));
  if (impl_->deferred.size() == 1) {
    uv_idle_start(&impl_->idle, [](uv_idle_t*) {});
  }
}

Timers& Loop::timers() { return *impl_->timers; }
const Clock& Loop::clock() const { return impl_->clock; }
Instant Loop::now() const { return impl_->now(); }
std::span<char> Loop::read_buffer() { return impl_->buffer; }
TlsBench& Loop::tls_bench() {
  if (!impl_->tls_bench) impl_->tls_bench = std::make_unique<TlsBench>(*this);
  return *impl_->tls_bench;
}
SplicePipes& Loop::splice_pipes() { return impl_->splice_pipes; }
std::uint64_t Loop::turns() const { return impl_->turn_count; }
LoopLoad& Loop::load() { return impl_->load; }
uv_loop_s* Loop::raw() { return &impl_->loop; }

}  // namespace lotse::net
