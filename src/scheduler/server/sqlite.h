// A thin RAII face of SQLite's C API: one connection and its prepared statements. No policy: store.cc knows the schema.
// Owned by the store, used on its thread only (and at open, before that thread runs).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lotse::scheduler {

class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  void bind(int index, std::string_view text);  // copied by SQLite
  void bind(int index, std::int64_t number);
  // true: a row is there; false: done. After done or a failure the statement is reset and its bindings cleared.
  Result<bool, Problem> next();
  std::string_view text(int column) const;  // valid until the next call
  std::int64_t number(int column) const;
  void reset();

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* raw) : raw_(raw) {}
  sqlite3_stmt* raw_ = nullptr;
};

class Database {
 public:
  Database() = default;
  Database(Database&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)), path_(std::move(other.path_)) {}
  Database& operator=(Database&& other) noexcept;
  ~Database();

  static Result<Database, Problem> open(const std::string& path);
  Result<Unit, Problem> run(const char* sql);  // one or more statements without rows
  Result<Statement, Problem> prepare(std::string_view sql);
  Result<std::string, Problem> ask(std::string_view sql);  // the first column of the first row; "" without rows
  bool in_transaction() const;
  Problem problem() const;  // of the last failed call: the file, SQLite's words, and the system's when it has any

 private:
  sqlite3* raw_ = nullptr;
  std::string path_;
};

}  // namespace lotse::scheduler
