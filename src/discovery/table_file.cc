#include "discovery/table_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

namespace lotse::discovery {
namespace {

constexpr std::size_t kBytesMax = std::size_t{4} * 1024 * 1024 * 1024;  // ten million endpoints
constexpr std::size_t kWriteBytes = 1024 * 1024;                        // written in pieces of about this size

Problem problem_of(const std::string& path, const char* what) {
  return {path, fmt::format("{}: {}", what, std::strerror(errno))};
}

bool write_all(int fd, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    ssize_t count = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

bool write_table(int fd, const SavedTable& table) {
  nlohmann::json header = {
      {"format", 1}, {"source", table.source}, {"term", table.term}, {"endpoints", table.endpoints.size()}};
  std::string piece = header.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
  for (const EndpointPtr& endpoint : table.endpoints) {
    piece += model::serialize(*endpoint);
    piece += '\n';
    if (piece.size() < kWriteBytes) continue;
    if (!write_all(fd, piece)) return false;
    piece.clear();
  }
  return write_all(fd, piece) && ::fsync(fd) == 0;
}

void sync_directory_of(const std::string& path) {  // makes the rename last; if that fails the old table is not wrong
  std::size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)::fsync(fd);
  ::close(fd);
}

Result<std::string, Problem> read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return fail(problem_of(path, "cannot be opened"));
  std::string text;
  std::vector<char> buffer(kWriteBytes);
  while (std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file)) {
    text.append(buffer.data(), count);
    if (text.size() > kBytesMax) break;
  }
  std::fclose(file);
  if (text.size() > kBytesMax) return fail(Problem{path, "is too large to be a table"});
  return text;
}

// The header; the number of endpoints that must follow goes to `expected`.
Result<SavedTable, Problem> parse_header(const std::string& path, std::string_view line, std::size_t& expected) {
  try {
    nlohmann::json header = nlohmann::json::parse(line);
    if (header.at("format").get<int>() != 1) return fail(Problem{path, "has a format we do not know"});
    SavedTable table;
    table.source = header.at("source").get<std::string>();
    table.term = header.at("term").get<std::uint64_t>();
    expected = header.at("endpoints").get<std::size_t>();
    return table;
  } catch (const nlohmann::json::exception& error) {
    return fail(Problem{path, fmt::format("has no header: {}", error.what())});
  }
}

}  // namespace

Result<Unit, Problem> save_table(const std::string& path, const SavedTable& table) {
  std::string draft = path + ".new";
  int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return fail(problem_of(draft, "cannot be written"));
  bool is_written = write_table(fd, table);
  int code = errno;
  ::close(fd);
  errno = code;
  if (!is_written || ::rename(draft.c_str(), path.c_str()) != 0) {
    Problem problem = problem_of(draft, "cannot be written");
    ::unlink(draft.c_str());
    return fail(std::move(problem));
  }
  sync_directory_of(path);
  return Unit{};
}

Result<SavedTable, Problem> load_table(const std::string& path) {
  auto text = read_file(path);
  if (!text) return fail(text.error());
  std::string_view rest = *text;
  std::size_t expected = 0, number = 0;
  Result<SavedTable, Problem> table = SavedTable{};
  while (!rest.empty()) {
    std::size_t end = rest.find('\n');
    if (end == rest.npos) return fail(Problem{path, "is cut off"});
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (number++ == 0) {
      table = parse_header(path, line, expected);
      if (!table) return table;
      continue;
    }
    auto endpoint = model::parse_endpoint(line);
    if (!endpoint) return fail(Problem{fmt::format("{}:{}", path, number), endpoint.error().text()});
    table->endpoints.push_back(std::make_shared<const model::Endpoint>(std::move(*endpoint)));
  }
  if (number == 0) return fail(Problem{path, "is empty"});
  if (table->endpoints.size() != expected) return fail(Problem{path, "is cut off"});
  return table;
}

}  // namespace lotse::discovery
