#include "agent/sandbox.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>

#include "agent/archive.h"
#include "agent/download.h"
#include "agent/durable_file.h"

namespace lotse::agent {
namespace {

namespace fs = std::filesystem;

// The iterators' own ++ throws.
template <typename Iterator, typename Visit>
std::error_code for_each_entry(const std::string& folder, Visit visit) {
  std::error_code code;
  for (Iterator it(folder, code), end; !code && it != end; it.increment(code)) visit(*it);
  return code;
}

// An archive that came earlier may have left a link where this one wants to go.
bool lies_within(const std::string& folder, const std::string& sandbox) {
  std::error_code code;
  const std::string real = fs::canonical(folder, code).string(), base = fs::canonical(sandbox, code).string();
  return !code && (real == base || real.starts_with(base + "/"));
}

Result<std::string, Problem> place_for(const std::string& name, const std::string& uri, const std::string& sandbox) {
  std::string path = sandbox + "/" + name;
  std::string parent = fs::path(path).parent_path().string();
  Problem outside{shown_uri(uri), fmt::format("its place \"{}\" lies outside of the sandbox", name)};
  if (name.starts_with('/') || ("/" + name + "/").find("/../") != std::string::npos) return fail(outside);
  // Made one by one, so that none is made behind a link.
  std::string made = sandbox;
  for (const fs::path& part : fs::path(name).parent_path()) {
    made += "/" + part.string();
    if (Done folder = make_folders(made); !folder) return fail(folder.error());
    if (!lies_within(made, sandbox)) return fail(outside);
  }
  std::error_code ignored;
  if (fs::is_directory(fs::symlink_status(path, ignored))) {
    return fail(Problem{shown_uri(uri), fmt::format("there is a folder \"{}\" already", name)});
  }
  return path;
}

std::int64_t size_of(const fs::path& path) {
  std::error_code code;
  auto size = fs::file_size(path, code);
  return code ? 0 : static_cast<std::int64_t>(size);
}

// One folder per URI: "content", and "uri", since what names the folder is only a hash. Fetch threads share it.
class Cache {
 public:
  Cache(const std::string& path, std::int64_t bytes_max) : path_(path), bytes_max_(bytes_max) {}

  // A second name for the content at `link`, downloaded when it is not here yet: what a task unpacks or copies does not
  // go while it does, whatever is thrown out of the cache.
  Done get(const std::string& uri, const std::string& link, FetchBudget& budget) {
    std::string folder = fmt::format("{}/{:016x}", path_, std::hash<std::string>{}(uri));
    ::unlink(link.c_str());
    {
      std::lock_guard lock(mutex());
      auto known = read_whole(folder + "/uri");
      if (known && known->exists && known->content == uri && ::link((folder + "/content").c_str(), link.c_str()) == 0) {
        std::error_code ignored;
        fs::last_write_time(folder, fs::file_time_type::clock::now(), ignored);  // used: others go first
        return Unit{};
      }
    }
    static std::atomic<unsigned> number{0};  // two tasks may fetch the same URI: each on its own, the last one stays
    std::string fresh = fmt::format("{}/new-{}", path_, number++);
    remove_tree(fresh);
    Done got = make_folders(fresh);
    if (got) got = download(uri, fresh + "/content", budget);
    if (got) got = write_durably(fresh + "/uri", uri, Sync::no);
    if (got && ::link((fresh + "/content").c_str(), link.c_str()) != 0) got = fail(Problem{link, std::strerror(errno)});
    if (got) install(fresh, folder);
    remove_tree(fresh);
    return got;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }

  void install(const std::string& fresh, const std::string& folder) {  // failing: it is fetched again next time
    std::lock_guard lock(mutex());
    remove_tree(folder);
    if (::rename(fresh.c_str(), folder.c_str()) == 0) keep_within_bound(folder);
  }

  // The one just fetched stays, however large: it is wanted now.
  void keep_within_bound(const std::string& fresh) {
    struct Entry {
      fs::file_time_type used;
      std::int64_t bytes;
      fs::path folder;
    };
    std::vector<Entry> entries;
    std::int64_t bytes = 0;
    for_each_entry<fs::directory_iterator>(path_, [&](const fs::directory_entry& each) {
      std::error_code ignored;
      entries.push_back({each.last_write_time(ignored), size_of(each.path() / "content"), each.path()});
      bytes += entries.back().bytes;
    });
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
    for (const Entry& entry : entries) {
      if (bytes <= bytes_max_) return;
      if (entry.folder == fresh || entry.folder.filename().string().starts_with("new-")) continue;
      remove_tree(entry.folder.string());
      bytes -= entry.bytes;
    }
  }

  const std::string& path_;
  std::int64_t bytes_max_;
};

Done make_executable(const std::string& path) {
  if (::chmod(path.c_str(), 0755) == 0) return Unit{};
  return fail(Problem{path, std::string("cannot be made executable: ") + std::strerror(errno)});
}

struct Place {
  std::string file, name;
  bool unpacks = false;
};

// As in Mesos: an archive from the cache is unpacked without a copy of itself in the sandbox.
Done fetch_by_cache(const model::Fetch& fetch, const SandboxOrder& order, const Place& place,
                    const std::string& sandbox, FetchBudget& budget) {
  Cache cache(order.cache_path, order.cache_bytes_max);
  const std::string link = sandbox + ".cached";
  Done done = cache.get(fetch.uri, link, budget);
  if (done && place.unpacks) done = unpack(shown_uri(fetch.uri), link, place.name, sandbox, budget);
  if (done && !place.unpacks) done = copy_file(link, place.file, budget);
  if (done && fetch.executable) done = make_executable(place.file);
  ::unlink(link.c_str());
  return done;
}

Done fetch_one(const model::Fetch& fetch, const SandboxOrder& order, const std::string& sandbox, FetchBudget& budget) {
  std::string name = fetch.dest_path.empty() ? file_name_of(fetch.uri) : fetch.dest_path;
  if (name.empty() || name == "." || name == "..") {
    return fail(Problem{shown_uri(fetch.uri), "names no file; say with destPath what it is to be called"});
  }
  auto place = place_for(name, fetch.uri, sandbox);
  if (!place) return fail(place.error());
  bool unpacks = fetch.extract && !fetch.executable && is_archive(name);
  std::string file = fs::path(name).filename().string();
  if (fetch.cache)
    return fetch_by_cache(fetch, order, {.file = *place, .name = file, .unpacks = unpacks}, sandbox, budget);
  if (Done got = download(fetch.uri, *place, budget); !got) return got;
  if (unpacks) return unpack(shown_uri(fetch.uri), *place, file, sandbox, budget);
  return fetch.executable ? make_executable(*place) : Done(Unit{});
}

Done give_to(const SandboxOwner& owner, const std::string& sandbox) {
  auto give = [&](const std::string& path) {  // a link itself, never what it points to
    return ::lchown(path.c_str(), static_cast<uid_t>(owner.uid), static_cast<gid_t>(owner.gid)) == 0;
  };
  bool given = give(sandbox);
  std::error_code code = for_each_entry<fs::recursive_directory_iterator>(
      sandbox, [&](const fs::directory_entry& each) { given = give(each.path().string()) && given; });
  if (given && !code) return Unit{};
  return fail(Problem{sandbox, std::string("cannot be given to the task's user: ") + std::strerror(errno)});
}

}  // namespace

std::string half_made(const std::string& sandbox_path) {
  fs::path path(sandbox_path);  // no task id begins with a dot
  return (path.parent_path() / (".new-" + path.filename().string())).string();
}

std::string file_name_of(const std::string& uri) {
  std::string path = uri.substr(0, uri.find_first_of("?#"));
  if (std::size_t authority = path.find("://"); authority != std::string::npos) path.erase(0, authority + 3);
  std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(slash + 1);
}

Done fill_sandbox(const SandboxOrder& order, FetchBudget& budget) {
  std::error_code ignored;
  if (fs::is_directory(order.path, ignored)) return Unit{};  // of an earlier try
  std::string growing = half_made(order.path);
  remove_tree(growing);
  Done done = make_folders(growing);
  for (const model::Fetch& fetch : order.fetch) {
    if (done) done = fetch_one(fetch, order, growing, budget);
  }
  if (done && order.owner) done = give_to(*order.owner, growing);
  if (done && ::rename(growing.c_str(), order.path.c_str()) != 0)
    done = fail(Problem{order.path, std::strerror(errno)});
  if (!done) remove_tree(growing);
  return done;
}

}  // namespace lotse::agent
