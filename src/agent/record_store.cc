#include "agent/record_store.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace lotse::agent {

std::vector<TaskRecord> RecordStore::load_all(std::vector<Problem>& problems) {
  std::vector<std::filesystem::path> files;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder_, code), end; !code && entry != end; entry.increment(code)) {
    if (entry->path().extension() == ".json") files.push_back(entry->path());
  }
  if (code) problems.push_back(Problem{folder_, "cannot list: " + code.message()});
  std::sort(files.begin(), files.end());
  std::vector<TaskRecord> records;
  for (const auto& file : files) {
    auto text = read_whole(file.string());
    Result<TaskRecord, Problem> record =
        text ? parse_task_record(text->content) : Result<TaskRecord, Problem>(fail(text.error()));
    if (record && file.stem() == record->id()) {
      records.push_back(std::move(*record));
      continue;
    }
    problems.push_back(Problem{file.string(), record ? "does not belong to its name" : record.error().text()});
    std::filesystem::rename(file, file.string() + ".damaged", code);
  }
  return records;
}

Done RecordStore::save(const TaskRecord& record, Sync sync) {
  return write_durably(path_of(record.id()), serialize(record) + "\n", sync);
}

void RecordStore::remove(const model::TaskId& task) {
  std::error_code ignored;
  std::filesystem::remove(path_of(task), ignored);
}

}  // namespace lotse::agent
