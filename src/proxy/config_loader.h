// Keeps the running configuration equal to its file: loads it, watches it (and SIGHUP), hands good ones on, keeps the
// last good one otherwise and says why in log and metrics (P7). Does not know what applying means. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/process.h"
#include "proxy/config.h"

namespace lotse::proxy {

class ConfigLoader {
 public:
  // A failure (an address that cannot be bound) leaves everything as it was and makes the reload a failed one.
  using Apply = std::function<Result<Unit, Problem>(std::shared_ptr<const Config>)>;
  ConfigLoader(net::Loop& loop, std::string path, Apply apply);
  ~ConfigLoader();

  Result<Unit, Problem> load_first();  // the Problem's text has all problems, with carets
  void watch();                        // from now on: file changes and SIGHUP
  // On SIGHUP, before the file is read: what it asks for beside a reload happens also when the file is a broken one.
  void set_on_hangup(std::function<void()> on_hangup) { on_hangup_ = std::move(on_hangup); }
  // Around each try to load: true when it begins, false when it is over.
  void set_on_loading(std::function<void(bool begins)> on_loading) { on_loading_ = std::move(on_loading); }
  bool reload();  // as on SIGHUP: also when the text is the same. True: applied

  std::shared_ptr<const Config> current() const { return current_; }  // null before the first good one
  bool is_last_reload_good() const { return is_last_good_; }
  void write_metrics(std::string& out) const;

 private:
  enum class Force : std::uint8_t { no, yes };
  bool load(Force force, std::string& problems);
  bool take(const std::string& text, std::string& problems);
  void on_file_changed();

  net::Loop& loop_;
  std::string path_;
  Apply apply_;
  std::function<void()> on_hangup_;
  std::function<void(bool)> on_loading_;
  std::shared_ptr<const Config> current_;
  std::string last_text_;  // of the last try, so that a touched file is not news
  bool has_tried_ = false, is_last_good_ = false;
  WallTime last_good_at_{};
  std::uint64_t reloads_ = 0, failures_ = 0;
  std::unique_ptr<net::FileWatch> file_watch_;
  std::unique_ptr<net::SignalWatch> signal_watch_;
};

}  // namespace lotse::proxy
