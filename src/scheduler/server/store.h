// The scheduler's memory: an ordered key-value transaction log on SQLite (WAL, synchronous=FULL) with a revision and a
// term. Not the meaning of the records (core's records.h) and not what to do when a write fails (engine.h).
// Made, called and answered on the loop's thread. A thread of its own does the disk's work and commits whatever has
// queued up meanwhile as one SQLite transaction (group commit), so that an fsync never stops the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/loop.h"

namespace lotse::scheduler {

struct StoreChange {
  std::string key;
  std::optional<std::string> value;  // absent: erase
};
using StoreRecords = std::vector<std::pair<std::string, std::string>>;  // ordered by key

struct StoreStats {
  std::uint64_t commits = 0;       // SQLite transactions, each one fsync
  std::uint64_t transactions = 0;  // of ours; divided by commits: the group size
  std::uint64_t failures = 0;
  std::uint64_t group_max = 0;  // the largest group so far
  Duration commit_total{0}, commit_max{0};
  std::uint64_t revision = 0;
};

class Store {
 public:
  struct Options {
    std::string directory;
    std::uint64_t pages_max = 0;  // of 4 KiB; beyond, a write fails as on a full disk. 0: the disk is the bound
  };
  // Locks the directory (one process at a time), opens or makes the database, raises the term and stores it. `records`
  // is all that was committed. Says what is wrong in words: not writable, in use, damaged, written by a newer Lotse.
  static Result<std::unique_ptr<Store>, Problem> open(net::Loop& loop, Options options, StoreRecords& records);
  ~Store();  // commits what is queued, then closes; no completion comes any more
  Store(const Store&) = delete;

  std::uint64_t term() const;
  const std::string& cluster() const;  // random, made with the database

  // All or nothing, durable when `on_done` comes with the revision it got. Completions come from the loop in the order
  // of the calls. After a failure every later commit fails too, until probe() succeeds: each was made on top of the
  // failed one.
  void commit(std::vector<StoreChange> changes, std::function<void(Result<std::uint64_t, Problem>)> on_done);

  // What the disk holds, after everything queued before.
  void load(std::function<void(Result<StoreRecords, Problem>)> on_done);

  // Writes and syncs 64 KiB of its own: true means that there is room for more than one small change. Ends the failing,
  // so the caller must have loaded after the failure.
  void probe(std::function<void(Result<Unit, Problem>)> on_done);

  // A copy of all that was queued before, in a file that must not exist yet (store_backup.h). Commits wait meanwhile.
  void back_up(std::string file, std::function<void(Result<Unit, Problem>)> on_done);

  std::size_t queued() const;  // commits whose completion has not come yet
  const StoreStats& stats() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::scheduler
