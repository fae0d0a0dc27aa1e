#include "agent/fetcher.h"

#include <fmt/core.h>

#include <coroutine>
#include <filesystem>
#include <thread>

#include "agent/download.h"
#include "agent/durable_file.h"
#include "base/log.h"
#include "net/loop.h"

namespace lotse::agent {
namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

}  // namespace

// Touched by its thread until `done` was posted, by the loop's from then on; cancelling is the exception.
struct Fetcher::Job {
  explicit Job(const FetchBounds& bounds) : budget(bounds) {}
  SandboxOrder order;
  FetchBudget budget;
  std::optional<Done> done;
  std::thread thread;
  Fetcher* fetcher = nullptr;      // null: it is gone
  std::coroutine_handle<> waiter;  // null: nobody waits any more
};

class Fetcher::Run {
 public:
  explicit Run(std::shared_ptr<Job> job) : job_(std::move(job)) {}
  Run(const Run&) = delete;
  ~Run() {
    job_->waiter = nullptr;
    job_->budget.cancel();
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { job_->waiter = waiter; }
  Done await_resume() { return *job_->done; }

 private:
  std::shared_ptr<Job> job_;
};

Fetcher::Fetcher(net::Loop& loop, const std::string& data_path, FetchBounds bounds)
    : loop_(loop),
      sandboxes_path_(data_path + "/sandboxes"),
      cache_path_(data_path + "/fetch-cache"),
      bounds_(bounds),
      slots_(loop, FetchBounds::kTasksMax) {
  prepare_downloads();
  for (const std::string& name : names_in(cache_path_)) {  // downloads of an earlier life
    if (name.starts_with("new-")) remove_tree(cache_path_ + "/" + name);
  }
}

Fetcher::~Fetcher() {
  for (const auto& job : jobs_) {
    job->fetcher = nullptr;
    job->budget.cancel();
  }
  for (const auto& job : jobs_) job->thread.join();
}

Async<Outcome<Unit>> Fetcher::make_sandbox(model::LaunchTask launch, std::optional<SandboxOwner> owner,
                                           std::function<void(bool)> on_interruptible) {
  SandboxOrder order{.path = sandbox_of(launch.task),
                     .cache_path = cache_path_,
                     .fetch = launch.app.fetch,
                     .owner = owner,
                     .cache_bytes_max = bounds_.cache_bytes_max};
  if (order.fetch.empty()) {
    FetchBudget budget(bounds_);
    if (Done made = fill_sandbox(order, budget); !made) {
      co_return fail(RuntimeError{RuntimeError::Outcome::refused, made.error().text()});
    }
    co_return Unit{};
  }
  on_interruptible(true);
  Slots::Acquire acquire(slots_);
  Slots::Permit permit = co_await acquire;
  Run run(begin(std::move(order)));
  Done made = co_await run;
  on_interruptible(false);
  if (!made) co_return fail(RuntimeError{RuntimeError::Outcome::refused, "cannot fetch " + made.error().text()});
  co_return Unit{};
}

std::shared_ptr<Fetcher::Job> Fetcher::begin(SandboxOrder order) {
  auto job = std::make_shared<Job>(bounds_);
  job->order = std::move(order);
  job->fetcher = this;
  ++counters_.fetches;
  jobs_.push_back(job);
  job->thread = std::thread([job, &loop = loop_] {
    job->done = fill_sandbox(job->order, job->budget);
    loop.post([job] {
      if (job->fetcher != nullptr) job->fetcher->reap(*job);
      if (auto waiter = std::exchange(job->waiter, nullptr)) waiter.resume();
    });
  });
  return job;
}

void Fetcher::reap(Job& job) {
  job.thread.join();
  counters_.bytes += static_cast<std::uint64_t>(job.budget.bytes());
  if (!*job.done) ++counters_.failures;
  jobs_.remove_if([&](const std::shared_ptr<Job>& each) { return each.get() == &job; });
}

void Fetcher::remove_sandbox(const model::TaskId& task) { remove_tree(sandbox_of(task)); }

void Fetcher::remove_unknown(const std::function<bool(const model::TaskId&)>& is_known) {
  for (const std::string& name : names_in(sandboxes_path_)) {
    if (!is_known(name)) remove_tree(sandboxes_path_ + "/" + name);
  }
}

}  // namespace lotse::agent
