#include "net/process.h"

#include <signal.h>

#include <array>
#include <utility>

#include "net/loop.h"
#include "net/process_box.h"
#include "net/uv_error.h"

namespace lotse::net {
namespace {

using OnExit = std::function<void(int exit_code, int signal)>;

// Not a UvHandle: when the Process goes, the handle stays until the child has ended, or nobody would reap it. Then it
// no longer keeps the loop running.
struct ProcessBox {
  uv_process_t raw{};
  class UvProcess* owner = nullptr;
};

void close_box(ProcessBox* box) {
  uv_close(reinterpret_cast<uv_handle_t*>(&box->raw),
           [](uv_handle_t* handle) { delete static_cast<ProcessBox*>(handle->data); });
}

class UvProcess final : public Process {
 public:
  explicit UvProcess(OnExit on_exit) : on_exit_(std::move(on_exit)) {}
  ~UvProcess() override {
    if (box_ == nullptr) return;
    box_->owner = nullptr;
    uv_unref(reinterpret_cast<uv_handle_t*>(&box_->raw));
  }

  int spawn(Loop& loop, const ProcessOptions& options);
  int pid() const override { return pid_; }
  void kill(int signal, bool group) override;

 private:
  static void on_uv_exit(uv_process_t* raw, std::int64_t exit_code, int signal) noexcept;

  OnExit on_exit_;
  ProcessBox* box_ = nullptr;  // null: the child has ended
  int pid_ = 0;
};

std::vector<char*> as_argv(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  // execve takes char* and does not write through them.
  for (const auto& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

uv_stdio_container_t inherited(int fd) {
  uv_stdio_container_t stdio{};
  stdio.flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD;  // libuv opens /dev/null for the first three
  stdio.data.fd = fd;
  return stdio;
}

int UvProcess::spawn(Loop& loop, const ProcessOptions& options) {
  std::vector<std::string> arguments{options.file};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv = as_argv(arguments), environment = as_argv(options.environment);
  std::array<uv_stdio_container_t, 3> stdio{inherited(-1), inherited(options.stdout_fd), inherited(options.stderr_fd)};

  uv_process_options_t raw{};
  raw.file = options.file.c_str();
  raw.args = argv.data();
  raw.env = environment.data();
  raw.cwd = options.directory.empty() ? nullptr : options.directory.c_str();
  raw.stdio = stdio.data();
  raw.stdio_count = static_cast<int>(stdio.size());
  raw.exit_cb = on_uv_exit;
  if (options.new_session) raw.flags |= UV_PROCESS_DETACHED;
  if (options.uid >= 0) raw.flags |= UV_PROCESS_SETUID, raw.uid = static_cast<uv_uid_t>(options.uid);
  if (options.gid >= 0) raw.flags |= UV_PROCESS_SETGID, raw.gid = static_cast<uv_gid_t>(options.gid);

  auto box = std::make_unique<ProcessBox>();
  int code = uv_spawn(loop.raw(), &box->raw, &raw);
  box->raw.data = box.get();  // after uv_spawn, which clears the handle
  if (code != 0) {
    close_box(box.release());  // libuv has it in its list even when it failed
    return code;
  }
  box->owner = this;
  pid_ = uv_process_get_pid(&box->raw);
  box_ = box.release();
  return 0;
}

void UvProcess::on_uv_exit(uv_process_t* raw, std::int64_t exit_code, int signal) noexcept {
  auto* box = static_cast<ProcessBox*>(raw->data);
  UvProcess* self = std::exchange(box->owner, nullptr);
  close_box(box);
  if (self == nullptr) return;
  self->box_ = nullptr;
  OnExit on_exit = std::move(self->on_exit_);
  on_exit(static_cast<int>(exit_code), signal);
}

// A reaped pid may belong to somebody else. A group's number is not given away while a member lives, so the stragglers
// of a leader that has ended can still be reached: right after on_exit, not much later.
void UvProcess::kill(int signal, bool group) {
  if (pid_ <= 0 || (box_ == nullptr && !group)) return;
  ::kill(group ? -pid_ : pid_, signal);
}

}  // namespace

void close_detached_process(uv_handle_t* handle) { close_box(static_cast<ProcessBox*>(handle->data)); }

Result<std::unique_ptr<Process>> Process::spawn(Loop& loop, const ProcessOptions& options, OnExit on_exit) {
  auto process = std::make_unique<UvProcess>(std::move(on_exit));
  if (int code = process->spawn(loop, options); code != 0) {
    Error error = error_from_uv(code);
    if (code == UV_ENOENT) error.code = Errc::not_found;  // the program, not a socket
    error.retry = Retry::never;
    return fail(error);
  }
  return std::unique_ptr<Process>(std::move(process));
}

}  // namespace lotse::net
