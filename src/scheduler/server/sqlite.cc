#include "scheduler/server/sqlite.h"

#include <sqlite3.h>

#include <cstring>
#include <utility>

namespace lotse::scheduler {
namespace {

Problem problem_of(sqlite3* database, const std::string& path) {
  if (database == nullptr) return {path, "out of memory"};
  std::string what = sqlite3_errmsg(database);
  if (int code = sqlite3_system_errno(database); code != 0 && sqlite3_errcode(database) != SQLITE_CORRUPT) {
    what += " (" + std::string(std::strerror(code)) + ")";
  }
  return {path, std::move(what)};
}

}  // namespace

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(raw_);
    raw_ = std::exchange(other.raw_, nullptr);
  }
  return *this;
}

Statement::~Statement() { sqlite3_finalize(raw_); }

void Statement::bind(int index, std::string_view text) {
  // SQLITE_TRANSIENT is a cast from an integer in C; the value is part of the documented interface.
  const auto transient = reinterpret_cast<sqlite3_destructor_type>(-1);  // NOLINT(performance-no-int-to-ptr)
  sqlite3_bind_text64(raw_, index, text.data() == nullptr ? "" : text.data(), text.size(), transient, SQLITE_UTF8);
}

void Statement::bind(int index, std::int64_t number) { sqlite3_bind_int64(raw_, index, number); }

Result<bool, Problem> Statement::next() {
  int code = sqlite3_step(raw_);
  if (code == SQLITE_ROW) return true;
  sqlite3* database = sqlite3_db_handle(raw_);
  const char* file = sqlite3_db_filename(database, "main");
  Problem problem = code == SQLITE_DONE ? Problem{} : problem_of(database, file == nullptr ? "" : file);
  reset();
  if (code == SQLITE_DONE) return false;
  return fail(std::move(problem));
}

std::string_view Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(raw_, column));
  int length = sqlite3_column_bytes(raw_, column);
  return bytes == nullptr ? std::string_view{} : std::string_view(bytes, static_cast<std::size_t>(length));
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(raw_, column); }

void Statement::reset() {
  sqlite3_reset(raw_);
  sqlite3_clear_bindings(raw_);
}

Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    sqlite3_close_v2(raw_);
    raw_ = std::exchange(other.raw_, nullptr);
    path_ = std::move(other.path_);
  }
  return *this;
}

Database::~Database() { sqlite3_close_v2(raw_); }

Result<Database, Problem> Database::open(const std::string& path) {
  Database database;
  database.path_ = path;
  // NOMUTEX: one thread at a time uses the connection, by construction.
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &database.raw_, flags, nullptr) != SQLITE_OK) return fail(database.problem());
  sqlite3_extended_result_codes(database.raw_, 1);
  return database;
}

Result<Unit, Problem> Database::run(const char* sql) {
  if (sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(problem());
  return Unit{};
}

Result<Statement, Problem> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  int code =
      sqlite3_prepare_v3(raw_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return fail(problem());
  return Statement(raw);
}

Result<std::string, Problem> Database::ask(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  auto row = statement->next();
  if (!row) return fail(row.error());
  return *row ? std::string(statement->text(0)) : std::string{};
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(raw_) == 0; }

Problem Database::problem() const { return problem_of(raw_, path_); }

}  // namespace lotse::scheduler
