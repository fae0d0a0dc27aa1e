#include "scheduler/server/store_backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "scheduler/server/sqlite.h"

namespace lotse::scheduler {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kTermMargin = 1'000'000;  // starts of the scheduler since the backup: more than there can be

Problem about(const std::string& directory, const std::string& what) { return {"data directory " + directory, what}; }

std::string quoted(const std::string& text) {  // as a string of SQL
  std::string result = "'";
  for (char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

Result<Unit, Problem> sync_path(const std::string& path, int flags) {
  net::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return fail(Problem{path, "cannot be synced: " + std::string(std::strerror(errno))});
  return Unit{};
}

// From here on `to` names the file, also after a power loss.
Result<Unit, Problem> put_in_place(const std::string& from, const std::string& to) {
  if (auto synced = sync_path(from, O_RDONLY); !synced) return synced;
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return fail(Problem{to, "cannot be written: " + error.message()});
  const std::string folder = fs::path(to).parent_path().string();
  return sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

// Is it one of ours, and whole?
Result<Unit, Problem> check_backup(Database& database, const std::string& file) {
  auto check = database.ask("PRAGMA integrity_check(1)");
  if (!check) return fail(check.error());
  if (*check != "ok") return fail(Problem{file, "is damaged: " + *check});
  auto tables = database.ask("SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'records')");
  if (!tables) return fail(tables.error());
  if (*tables != "2") return fail(Problem{file, "is no backup of a Lotse scheduler"});
  return Unit{};
}

Result<Unit, Problem> raise_term(Database& database) {
  auto term = database.ask("SELECT value FROM meta WHERE key='term'");
  if (!term) return fail(term.error());
  const std::uint64_t raised = std::strtoull(term->c_str(), nullptr, 10) + kTermMargin;
  return database.run(("UPDATE meta SET value='" + std::to_string(raised) + "' WHERE key='term'").c_str());
}

// The old database and what belongs to it make way.
Result<Unit, Problem> set_aside(const std::string& path) {
  std::error_code error;
  if (fs::exists(path)) fs::rename(path, path + ".before-restore", error);
  if (error) return fail(Problem{path, "cannot be set aside: " + error.message()});
  for (const char* ending : {"-wal", "-shm"}) {
    if (!fs::exists(path + ending)) continue;
    fs::rename(path + ending, path + ".before-restore" + ending, error);
    if (error) return fail(Problem{path + ending, "cannot be set aside: " + error.message()});
  }
  return Unit{};
}

}  // namespace

Result<net::UniqueFd, Problem> lock_data_directory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fail(about(directory, "cannot be made: " + error.message()));
  std::string path = directory + "/lock";
  net::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(about(directory, "is not writable: " + std::string(std::strerror(errno))));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(about(directory, "is in use by another process"));
    return fail(about(directory, "cannot be locked: " + std::string(std::strerror(errno))));
  }
  return fd;
}

Result<Unit, Problem> copy_database(Database& database, const std::string& file) {
  std::error_code error;
  if (fs::exists(file, error)) return fail(Problem{file, "exists already; a backup never overwrites"});
  const std::string unfinished = file + ".unfinished";
  fs::remove(unfinished, error);
  auto copied = database.run(("VACUUM INTO " + quoted(unfinished)).c_str());
  if (copied) copied = put_in_place(unfinished, file);
  if (!copied) fs::remove(unfinished, error);
  return copied;
}

Result<Unit, Problem> back_up_data(const std::string& directory, const std::string& file) {
  if (!fs::exists(directory + kDatabaseName)) return fail(about(directory, "holds no scheduler's database"));
  auto lock = lock_data_directory(directory);
  if (!lock) return fail(lock.error());
  auto database = Database::open(directory + kDatabaseName);
  if (!database) return fail(database.error());
  return copy_database(*database, file);
}

Result<Unit, Problem> restore_data(const std::string& directory, const std::string& file) {
  if (!fs::exists(file)) return fail(Problem{file, "cannot be read: " + std::string(std::strerror(ENOENT))});
  auto lock = lock_data_directory(directory);
  if (!lock) return fail(lock.error());
  const std::string path = directory + kDatabaseName, unfinished = path + ".restoring";
  std::error_code error;
  fs::copy_file(file, unfinished, fs::copy_options::overwrite_existing, error);
  if (error) return fail(Problem{file, "cannot be copied: " + error.message()});
  auto database = Database::open(unfinished);
  Result<Unit, Problem> done = database ? check_backup(*database, file) : fail(database.error());
  if (done) done = raise_term(*database);
  database = Database();  // closed: nothing of it is left beside the file
  if (done) done = set_aside(path);
  if (done) done = put_in_place(unfinished, path);
  if (!done) fs::remove(unfinished, error);
  return done;
}

}  // namespace lotse::scheduler
