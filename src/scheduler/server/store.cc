#include "scheduler/server/store.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "net/listen.h"
#include "scheduler/server/sqlite.h"
#include "scheduler/server/store_backup.h"

namespace lotse::scheduler {
namespace {

constexpr std::int64_t kSchema = 1;
// Bounds of one group: beyond them the next fsync takes the rest, so that no answer waits for a huge transaction.
constexpr std::size_t kGroupTransactionsMax = 512;
constexpr std::size_t kGroupBytesMax = 8 * 1024 * 1024;
constexpr std::size_t kProbeBytes = 64 * 1024;

using Completion = std::function<void(Result<std::uint64_t, Problem>)>;
using Probed = std::function<void(Result<Unit, Problem>)>;
using Loaded = std::function<void(Result<StoreRecords, Problem>)>;

struct Job {  // exactly one of the callbacks is set
  std::vector<StoreChange> changes;
  Completion on_done;
  Loaded on_loaded;
  Probed on_probed;
  std::string backup_file = {};  // with on_probed: a copy is wanted, not a probe
  bool is_commit() const { return static_cast<bool>(on_done); }
};

// What the two threads share.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;
  bool stopping = false;
};

// The database with the statements that every commit uses. Store thread (and open(), before it runs).
class Log {
 public:
  static Result<Log, Problem> open(const std::string& directory, std::uint64_t pages_max);
  Result<Unit, Problem> raise_term();
  Result<StoreRecords, Problem> records();
  Result<Unit, Problem> commit(std::span<Job> group);
  Result<Unit, Problem> probe();
  Result<Unit, Problem> back_up(const std::string& file) { return copy_database(database_, file); }
  std::uint64_t term() const { return term_; }
  std::uint64_t revision() const { return revision_; }
  const std::string& cluster() const { return cluster_; }

 private:
  Result<Unit, Problem> prepare_schema();
  Result<Unit, Problem> prepare_statements();
  Result<Unit, Problem> put_meta(std::string_view key, std::string_view value);
  Result<Unit, Problem> apply(std::span<Job> group, std::uint64_t& revision);
  Result<Unit, Problem> end_transaction(Result<Unit, Problem> so_far);

  Database database_;
  Statement put_, erase_, put_meta_;
  std::uint64_t term_ = 0, revision_ = 0, probes_ = 0;
  std::string cluster_, directory_;
};

Result<Log, Problem> Log::open(const std::string& directory, std::uint64_t pages_max) {
  Log log;
  log.directory_ = directory;
  auto database = Database::open(directory + kDatabaseName);
  if (!database) return fail(database.error());
  log.database_ = std::move(*database);
  // EXCLUSIVE: the directory is ours by flock, and SQLite then keeps its WAL index in memory instead of in a file, so
  // a full disk cannot stop us from reading. FULL: the WAL is synced at each commit (P4).
  std::string pragmas = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;";
  if (pages_max > 0) pragmas += "PRAGMA max_page_count=" + std::to_string(pages_max) + ";";
  if (auto done = log.database_.run(pragmas.c_str()); !done) return fail(done.error());
  auto check = log.database_.ask("PRAGMA quick_check(1)");
  if (!check) return fail(check.error());
  if (*check != "ok") return fail(Problem{directory + kDatabaseName, "is damaged: " + *check});
  if (auto done = log.prepare_schema(); !done) return fail(done.error());
  if (auto done = log.prepare_statements(); !done) return fail(done.error());
  return log;
}

Result<Unit, Problem> Log::prepare_schema() {
  auto version = database_.ask("PRAGMA user_version");
  if (!version) return fail(version.error());
  std::int64_t found = std::strtoll(version->c_str(), nullptr, 10);
  if (found > kSchema) {
    return fail(Problem{directory_ + kDatabaseName, "was written by a newer Lotse (schema " + *version +
                                                        "; this one knows " + std::to_string(kSchema) + ")"});
  }
  if (found == kSchema) return Unit{};
  return database_.run(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE records(key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;"
      "PRAGMA user_version=1;"
      "COMMIT;");
}

Result<Unit, Problem> Log::prepare_statements() {
  auto put = database_.prepare(
      "INSERT INTO records(key, value, revision) VALUES(?1, ?2, ?3) "
      "ON CONFLICT(key) DO UPDATE SET value=excluded.value, revision=excluded.revision");
  if (!put) return fail(put.error());
  auto erase = database_.prepare("DELETE FROM records WHERE key=?1");
  if (!erase) return fail(erase.error());
  auto put_meta = database_.prepare(
      "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=excluded.value");
  if (!put_meta) return fail(put_meta.error());
  put_ = std::move(*put);
  erase_ = std::move(*erase);
  put_meta_ = std::move(*put_meta);
  return Unit{};
}

Result<Unit, Problem> Log::put_meta(std::string_view key, std::string_view value) {
  put_meta_.bind(1, key);
  put_meta_.bind(2, value);
  if (auto done = put_meta_.next(); !done) return fail(done.error());
  return Unit{};
}

// Every start has a term of its own: agents and proxies refuse whatever comes from a lower one (fencing).
Result<Unit, Problem> Log::raise_term() {
  for (auto [key, number] : {std::pair{"term", &term_}, std::pair{"revision", &revision_}}) {
    auto text = database_.ask("SELECT value FROM meta WHERE key='" + std::string(key) + "'");
    if (!text) return fail(text.error());
    *number = std::strtoull(text->c_str(), nullptr, 10);
  }
  auto cluster = database_.ask("SELECT value FROM meta WHERE key='cluster'");
  if (!cluster) return fail(cluster.error());
  cluster_ = *cluster;
  if (cluster_.empty()) {
    Random random = Random::from_system();
    cluster_ = make_uuid(random);
  }
  if (auto done = database_.run("BEGIN IMMEDIATE"); !done) return fail(done.error());
  auto done = put_meta("term", std::to_string(++term_));
  if (done) done = put_meta("cluster", cluster_);
  return end_transaction(std::move(done));
}

Result<StoreRecords, Problem> Log::records() {
  auto rows = database_.prepare("SELECT key, value FROM records ORDER BY key");
  if (!rows) return fail(rows.error());
  StoreRecords records;
  while (true) {
    auto row = rows->next();
    if (!row) return fail(row.error());
    if (!*row) return records;
    records.emplace_back(rows->text(0), rows->text(1));
  }
}

Result<Unit, Problem> Log::apply(std::span<Job> group, std::uint64_t& revision) {
  if (auto done = database_.run("BEGIN IMMEDIATE"); !done) return done;
  for (const Job& job : group) {
    ++revision;
    for (const StoreChange& change : job.changes) {
      Statement& statement = change.value ? put_ : erase_;
      statement.bind(1, change.key);
      if (change.value) {
        statement.bind(2, *change.value);
        statement.bind(3, static_cast<std::int64_t>(revision));
      }
      if (auto done = statement.next(); !done) return fail(done.error());
    }
  }
  return put_meta("revision", std::to_string(revision));
}

Result<Unit, Problem> Log::commit(std::span<Job> group) {
  std::uint64_t revision = revision_;
  auto done = end_transaction(apply(group, revision));
  if (done) revision_ = revision;
  return done;
}

Result<Unit, Problem> Log::probe() {
  auto done = database_.run("BEGIN IMMEDIATE");
  if (done) done = put_meta("probe", std::string(kProbeBytes, static_cast<char>('0' + ++probes_ % 10)));
  return end_transaction(std::move(done));
}

// SQLite rolls back by itself after some errors, not after all.
Result<Unit, Problem> Log::end_transaction(Result<Unit, Problem> so_far) {
  if (so_far) so_far = database_.run("COMMIT");
  if (!so_far && database_.in_transaction()) {
    if (auto undone = database_.run("ROLLBACK"); !undone) log::error("scheduler", "{}", undone.error().text());
  }
  return so_far;
}

}  // namespace

struct Store::Impl {
  net::Loop& loop;
  net::UniqueFd lock;
  Log log;  // store thread, once that runs
  std::uint64_t term = 0;
  std::string cluster;
  StoreStats stats;        // loop's thread
  std::size_t queued = 0;  // loop's thread
  Mailbox mailbox;
  std::optional<Problem> failed;  // store thread: the failure that everything since was refused for
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // loop's thread: false once the Store has gone
  std::thread thread;

  explicit Impl(net::Loop& owner) : loop(owner) {}
  void run();
  void commit_group(std::vector<Job> group);
  void answer_load(Job job);
  void answer_probe(Job job);
};

Result<std::unique_ptr<Store>, Problem> Store::open(net::Loop& loop, Options options, StoreRecords& records) {
  auto lock = lock_data_directory(options.directory);
  if (!lock) return fail(lock.error());
  auto log = Log::open(options.directory, options.pages_max);
  if (!log) return fail(log.error());
  if (auto done = log->raise_term(); !done) return fail(done.error());
  auto loaded = log->records();
  if (!loaded) return fail(loaded.error());
  records = std::move(*loaded);
  auto impl = std::make_unique<Impl>(loop);
  impl->lock = std::move(*lock);
  impl->log = std::move(*log);
  impl->term = impl->log.term();
  impl->cluster = impl->log.cluster();
  impl->stats.revision = impl->log.revision();
  Impl* raw = impl.get();
  impl->thread = std::thread([raw] { raw->run(); });
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() {
  *impl_->alive = false;
  {
    std::lock_guard guard(impl_->mailbox.mutex);
    impl_->mailbox.stopping = true;
  }
  impl_->mailbox.wake.notify_one();
  impl_->thread.join();
}

std::uint64_t Store::term() const { return impl_->term; }
const std::string& Store::cluster() const { return impl_->cluster; }
std::size_t Store::queued() const { return impl_->queued; }
const StoreStats& Store::stats() const { return impl_->stats; }

void Store::commit(std::vector<StoreChange> changes, Completion on_done) {
  ++impl_->queued;
  {
    std::lock_guard guard(impl_->mailbox.mutex);
    impl_->mailbox.jobs.push_back({std::move(changes), std::move(on_done), nullptr, nullptr});
  }
  impl_->mailbox.wake.notify_one();
}

void Store::load(Loaded on_done) {
  {
    std::lock_guard guard(impl_->mailbox.mutex);
    impl_->mailbox.jobs.push_back({{}, nullptr, std::move(on_done), nullptr});
  }
  impl_->mailbox.wake.notify_one();
}

void Store::probe(Probed on_done) {
  {
    std::lock_guard guard(impl_->mailbox.mutex);
    impl_->mailbox.jobs.push_back({{}, nullptr, nullptr, std::move(on_done)});
  }
  impl_->mailbox.wake.notify_one();
}

void Store::back_up(std::string file, Probed on_done) {
  {
    std::lock_guard guard(impl_->mailbox.mutex);
    impl_->mailbox.jobs.push_back({{}, nullptr, nullptr, std::move(on_done), std::move(file)});
  }
  impl_->mailbox.wake.notify_one();
}

void Store::Impl::run() {
  while (true) {
    std::vector<Job> group;
    {
      std::unique_lock guard(mailbox.mutex);
      mailbox.wake.wait(guard, [this] { return mailbox.stopping || !mailbox.jobs.empty(); });
      if (mailbox.jobs.empty()) return;
      std::size_t bytes = 0;
      while (!mailbox.jobs.empty() && group.size() < kGroupTransactionsMax && bytes < kGroupBytesMax) {
        bool is_commit = mailbox.jobs.front().is_commit();
        if (!is_commit && !group.empty()) break;  // loads and probes stand alone, in their place
        for (const StoreChange& change : mailbox.jobs.front().changes) {
          bytes += change.key.size() + (change.value ? change.value->size() : 0);
        }
        group.push_back(std::move(mailbox.jobs.front()));
        mailbox.jobs.pop_front();
        if (!is_commit) break;
      }
    }
    if (group.front().is_commit()) {
      commit_group(std::move(group));
    } else if (group.front().on_loaded) {
      answer_load(std::move(group.front()));
    } else {
      answer_probe(std::move(group.front()));
    }
  }
}

void Store::Impl::commit_group(std::vector<Job> group) {
  // The one place outside net and cli that reads a clock by itself: the latency is a metric, no decision hangs on it.
  auto began = std::chrono::steady_clock::now();
  Result<Unit, Problem> done = Unit{};
  std::uint64_t first = log.revision() + 1;
  if (failed) {
    done = fail(*failed);
  } else {
    done = log.commit(group);
    if (!done) failed = done.error();
  }
  Duration took = std::chrono::steady_clock::now() - began;
  loop.post([this, is_alive = alive, group = std::make_shared<std::vector<Job>>(std::move(group)), done, first, took] {
    if (!*is_alive) return;
    queued -= group->size();
    if (done) {
      ++stats.commits;
      stats.transactions += group->size();
      stats.group_max = std::max<std::uint64_t>(stats.group_max, group->size());
      stats.commit_total += took;
      stats.commit_max = std::max(stats.commit_max, took);
      stats.revision = first + group->size() - 1;
    } else {
      ++stats.failures;
    }
    for (std::size_t i = 0; i < group->size() && *is_alive; ++i) {  // a completion may destroy the Store
      if (done) {
        (*group)[i].on_done(first + i);
      } else {
        (*group)[i].on_done(fail(done.error()));
      }
    }
  });
}

void Store::Impl::answer_load(Job job) {
  auto records = log.records();
  loop.post([is_alive = alive, on_loaded = std::move(job.on_loaded),
             records = std::make_shared<Result<StoreRecords, Problem>>(std::move(records))] {
    if (*is_alive) on_loaded(std::move(*records));
  });
}

void Store::Impl::answer_probe(Job job) {
  auto done = job.backup_file.empty() ? log.probe() : log.back_up(job.backup_file);
  if (done && job.backup_file.empty()) failed.reset();
  loop.post([is_alive = alive, on_probed = std::move(job.on_probed), done = std::move(done)] {
    if (*is_alive) on_probed(done);
  });
}

}  // namespace lotse::scheduler
