// The task records on disk: one file a task, written whole. Blocking; owned by the agent; one thread.
#pragma once

#include <string>
#include <vector>

#include "agent/durable_file.h"
#include "agent/task_record.h"
#include "agent/unit_result.h"

namespace lotse::agent {

class RecordStore {
 public:
  explicit RecordStore(std::string folder) : folder_(std::move(folder)) {}

  // Every readable record; a damaged one is moved aside (".damaged") and told in `problems`: its container is then
  // adopted from its labels.
  std::vector<TaskRecord> load_all(std::vector<Problem>& problems);
  Done save(const TaskRecord& record, Sync sync = Sync::yes);
  void remove(const model::TaskId& task);

 private:
  std::string path_of(const model::TaskId& task) const { return folder_ + "/" + task + ".json"; }
  std::string folder_;
};

}  // namespace lotse::agent
