#include "agent/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/durable_file.h"
#include "agent/json_fields.h"

namespace lotse::agent {
namespace {

Result<net::UniqueFd, Problem> take_lock(const std::string& folder) {
  std::string path = folder + "/lock";
  net::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(Problem{path, std::string("cannot open: ") + std::strerror(errno)});
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(Problem{path, std::string("cannot lock: ") + std::strerror(errno)});
    return fail(
        Problem{folder, "another agent runs with this data directory (it holds the lock); give this one its own"});
  }
  return fd;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "agent";
  return name.data();
}

}  // namespace

Result<DataDir, Problem> DataDir::open(const std::string& path, const std::string& wanted_id, Random& random) {
  DataDir dir;
  std::error_code code;
  dir.path_ = std::filesystem::absolute(path, code).lexically_normal().string();  // Docker mounts absolute paths only
  if (code) dir.path_ = path;
  if (Done made = make_folders(dir.path_); !made) return fail(made.error());
  auto lock = take_lock(dir.path_);
  if (!lock) return fail(lock.error());
  dir.lock_ = std::move(*lock);
  if (Done loaded = dir.load(); !loaded) return fail(loaded.error());
  if (dir.data_id_.empty()) dir.data_id_ = make_uuid(random);
  if (!wanted_id.empty()) dir.id_ = wanted_id;
  if (dir.id_.empty()) dir.id_ = host_name();
  ++dir.incarnation_;
  if (Done saved = dir.save(); !saved) return fail(saved.error());
  for (const std::string& folder : {dir.records_path(), dir.sandboxes_path()}) {
    if (Done made = make_folders(folder); !made) return fail(made.error());
  }
  return dir;
}

Done DataDir::load() {
  std::string file = path_ + "/identity.json";
  auto text = read_whole(file);
  if (!text) return fail(text.error());
  if (!text->exists) return Unit{};
  nlohmann::json json = nlohmann::json::parse(text->content, nullptr, false);
  if (!json.is_object() || text_of(json, "dataId").empty()) {
    // A new identity would orphan the containers of the old one, so a person has to decide.
    return fail(Problem{file, "is damaged; restore it, or remove the data directory to start as a new agent"});
  }
  id_ = text_of(json, "id");
  data_id_ = text_of(json, "dataId");
  cluster_ = text_of(json, "cluster");
  incarnation_ = unsigned_of(json, "incarnation");
  term_ = unsigned_of(json, "term");
  return Unit{};
}

Done DataDir::save() const {
  nlohmann::json json{
      {"id", id_}, {"dataId", data_id_}, {"cluster", cluster_}, {"incarnation", incarnation_}, {"term", term_}};
  return write_durably(path_ + "/identity.json", dump(json) + "\n");
}

Result<DataDir::Verdict, Problem> DataDir::admit(std::uint64_t term, const std::string& cluster) {
  if (!cluster_.empty() && !cluster.empty() && cluster != cluster_) return Verdict::other_cluster;
  if (term < term_) return Verdict::fenced;
  if (term == term_ && (cluster.empty() || cluster == cluster_)) return Verdict::accepted;
  std::uint64_t old_term = std::exchange(term_, term);
  std::string old_cluster = cluster_;
  if (!cluster.empty()) cluster_ = cluster;
  if (Done saved = save(); !saved) {
    term_ = old_term;
    cluster_ = old_cluster;
    return fail(saved.error());
  }
  return Verdict::accepted;
}

}  // namespace lotse::agent
