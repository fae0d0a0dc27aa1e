#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "net/loop.h"
#include "net/process.h"
#include "net/timers.h"
#include "net/uv_handle.h"

namespace lotse::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kQuiet{50};         // editors write in several steps
constexpr milliseconds kQuietAtMost{500};  // a file that is written all the time is still seen
constexpr milliseconds kPollInterval{500};

// What stat() tells of the content: two sightings with the same identity need no second call.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;  // -1: no such file
  std::int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const Identity&) const = default;
};

Identity identity_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  auto nanoseconds = [](const timespec& time) { return std::int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec; };
  return {found.st_dev, found.st_ino, found.st_size, nanoseconds(found.st_mtim), nanoseconds(found.st_ctim)};
}

// inotify on the directory sees a change at once; polling sees what it cannot, such as a link on the way to the file
// that turns elsewhere, or a directory that comes later.
class UvFileWatch final : public FileWatch {
 public:
  UvFileWatch(Loop& loop, const std::string& path, std::function<void()> on_changed)
      : loop_(loop),
        path_(path),
        name_(std::filesystem::path(path).filename()),
        seen_(identity_of(path)),
        on_changed_(std::make_shared<std::function<void()>>(std::move(on_changed))),
        quiet_(loop.timers(), [this] { on_quiet(); }),
        poll_(loop.timers(), [this] { on_poll(); }) {
    watch_directory();
    poll_.start(kPollInterval);
  }

 private:
  using Events = UvHandle<uv_fs_event_t, UvFileWatch>;

  void watch_directory();
  void on_hint();
  void on_poll();
  void on_quiet();

  Loop& loop_;
  std::string path_, name_;
  Identity seen_;
  std::shared_ptr<std::function<void()>> on_changed_;
  Timer quiet_, poll_;
  Instant first_hint_{};
  Events events_;
};

void UvFileWatch::watch_directory() {
  std::string directory = std::filesystem::path(path_).parent_path();
  if (directory.empty()) directory = ".";
  if (events_.open(*this, [&](uv_fs_event_t* raw) { return uv_fs_event_init(loop_.raw(), raw); }) != 0) return;
  auto happened = [](uv_fs_event_t* raw, const char* name, int, int) {
    UvFileWatch* self = Events::owner_of(raw);
    if (self != nullptr && (name == nullptr || self->name_ == name)) self->on_hint();
  };
  if (uv_fs_event_start(events_.raw(), happened, directory.c_str(), 0) != 0) events_.close();  // polling has to do
}

void UvFileWatch::on_hint() {
  if (!quiet_.is_armed()) first_hint_ = loop_.now();
  auto left = first_hint_ + kQuietAtMost - loop_.now();
  quiet_.start(std::min<Duration>(kQuiet, left));
}

// A stat() on the loop: uv_fs_poll asks on a thread, but takes what it finds first for what was there at the start.
void UvFileWatch::on_poll() {
  poll_.start(kPollInterval);
  if (identity_of(path_) != seen_) on_hint();
}

void UvFileWatch::on_quiet() {
  Identity now = identity_of(path_);
  if (now == seen_) return;
  seen_ = now;
  auto callback = on_changed_;  // it may destroy us
  (*callback)();
}

}  // namespace

std::unique_ptr<FileWatch> FileWatch::open(Loop& loop, const std::string& path, std::function<void()> on_changed) {
  return std::make_unique<UvFileWatch>(loop, path, std::move(on_changed));
}

}  // namespace lotse::net
