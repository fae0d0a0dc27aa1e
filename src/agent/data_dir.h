// The agent's data directory: who this agent is, across restarts. Locked as long as the object lives, so that two
// processes never share an identity. What is raised or learned is on disk before anyone hears of it.
// Owned by the agent; one thread; blocking.
#pragma once

#include <cstdint>
#include <string>

#include "agent/unit_result.h"
#include "base/random.h"
#include "base/result.h"
#include "net/listen.h"

namespace lotse::agent {

class DataDir {
 public:
  // Makes, locks, reads; raises the incarnation. `wanted_id` empty: the stored id, at first the host name.
  static Result<DataDir, Problem> open(const std::string& path, const std::string& wanted_id, Random& random);

  const std::string& path() const { return path_; }
  const std::string& id() const { return id_; }
  const std::string& data_id() const { return data_id_; }  // a uuid made with the directory
  std::uint64_t incarnation() const { return incarnation_; }
  std::uint64_t term() const { return term_; }             // the highest seen
  const std::string& cluster() const { return cluster_; }  // empty before the first registration

  std::string outbox_path() const { return path_ + "/outbox.json"; }
  std::string records_path() const { return path_ + "/tasks"; }
  std::string sandboxes_path() const { return path_ + "/sandboxes"; }

  enum class Verdict : std::uint8_t { accepted, fenced, other_cluster };
  // Fencing: a lower term is refused, a higher one stored first. A cluster is learned once and never exchanged.
  Result<Verdict, Problem> admit(std::uint64_t term, const std::string& cluster);

 private:
  DataDir() = default;
  Done load();
  Done save() const;

  std::string path_, id_, data_id_, cluster_;
  std::uint64_t incarnation_ = 0, term_ = 0;
  net::UniqueFd lock_;
};

}  // namespace lotse::agent
