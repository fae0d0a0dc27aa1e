// Copies of the scheduler's database: made while it runs or not, and put back. A backup is a whole SQLite database in
// one file. Knows nothing of the records in it. Blocking: the store's thread, or a command's.
#pragma once

#include <string>

#include "base/result.h"
#include "net/listen.h"

namespace lotse::scheduler {

class Database;

inline constexpr const char* kDatabaseName = "/scheduler.db";  // in the data directory

// One process at a time: held as long as the descriptor is open.
Result<net::UniqueFd, Problem> lock_data_directory(const std::string& directory);

// Writes a copy, synced, under a name that must not exist yet: it appears whole or not at all.
Result<Unit, Problem> copy_database(Database& database, const std::string& file);

// Of a scheduler that does not run.
Result<Unit, Problem> back_up_data(const std::string& directory, const std::string& file);

// Puts a backup in the place of what is there, which is kept beside it as scheduler.db.before-restore. The term is
// raised far beyond any that agents and proxies may have seen since, or they would refuse the restored scheduler.
Result<Unit, Problem> restore_data(const std::string& directory, const std::string& file);

}  // namespace lotse::scheduler
