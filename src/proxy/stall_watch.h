// Notices a worker whose loop does not turn: posts to every worker, four times per threshold, and measures how long the
// answer takes. That is what a new event waits for its turn (lag), and without an answer the worker is stalled. Says so
// in the log once, and again when it turns; /readyz, /healthz and /metrics ask. Ends nothing by itself. Main thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/timers.h"

namespace lotse::proxy {

class Worker;

class StallWatch {
 public:
  // `workers` outlive us, or stop() comes first.
  StallWatch(net::Loop& main_loop, const std::vector<std::unique_ptr<Worker>>& workers);

  void start(Duration threshold);  // again: with another threshold
  void stop();

  struct Sight {  // one worker, as of now
    bool is_stalled = false;
    Duration silent{};          // stalled: since when it has not answered
    std::uint64_t stalls = 0;   // that began, ever
    Duration lag{}, lag_max{};  // of the last answer; the longest of the last half to whole minute
    Duration turn_max{};        // the longest turn of its loop in the same time
  };
  Sight sight(std::size_t worker) const;
  // "" or which workers stand still for longer than this, in words.
  std::string stalled_for(Duration at_least) const;
  Duration threshold() const { return threshold_; }

 private:
  struct Answer {
    std::atomic<std::int64_t> at_ns{0};  // 0: none yet; the worker writes it once per question
  };
  struct Watched {
    std::shared_ptr<Answer> answer = std::make_shared<Answer>();
    Instant asked{};
    bool is_asked = false, is_stalled = false;
    std::uint64_t stalls = 0;
    Duration lag{};
    Duration lag_max[2]{}, turn_max[2]{};  // of this half minute and the one before
  };
  void look();
  void look_at(std::size_t index, Instant now, bool may_judge);
  void ask(std::size_t index, Instant now);
  void on_answer(std::size_t index, Duration lag);
  void turn_windows(Instant now);

  net::Loop& loop_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::vector<Watched> watched_;
  Duration threshold_{};
  Instant last_look_{}, window_began_{};
  net::Timer timer_;
};

}  // namespace lotse::proxy
