#include "agent/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "net/listen.h"

namespace lotse::agent {
namespace {

constexpr long kConnectSeconds = 30;
constexpr long kStallSeconds = 60;  // without a byte
constexpr long kRedirectsMax = 10;
constexpr std::size_t kCopyBytes = 1 << 20;

Problem at(const std::string& where, const char* what) {
  return Problem{where, fmt::format("{}: {}", what, std::strerror(errno))};
}

// Never through a link: an archive that came before may have left one here.
net::UniqueFd create(const std::string& path) {
  ::unlink(path.c_str());
  return net::UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
}

bool write_all(int fd, const char* bytes, std::size_t count) {
  while (count > 0) {
    ssize_t written = ::write(fd, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes += written;
    count -= static_cast<std::size_t>(written);
  }
  return true;
}

struct Transfer {
  int fd;
  FetchBudget& budget;
  std::string why;  // we ended it ourselves
};

std::size_t on_bytes(char* bytes, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (auto why = transfer.budget.spend(static_cast<std::int64_t>(count))) {
    transfer.why = *why;
    return 0;
  }
  if (write_all(transfer.fd, bytes, count)) return count;
  transfer.why = fmt::format("cannot be kept: {}", std::strerror(errno));
  return 0;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {  // also while nothing comes
  auto& transfer = *static_cast<Transfer*>(user);
  auto why = transfer.budget.spend(0);
  if (why) transfer.why = *why;
  return why ? 1 : 0;
}

Done download_by_http(const std::string& uri, int fd, FetchBudget& budget) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) return fail(Problem{shown_uri(uri), "libcurl does not start"});
  Transfer transfer{.fd = fd, .budget = budget, .why = {}};
  std::array<char, CURL_ERROR_SIZE> words{};
  curl_easy_setopt(curl.get(), CURLOPT_URL, uri.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "lotse-agent");
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, words.data());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &on_bytes);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
  CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK) return Unit{};
  if (!transfer.why.empty()) return fail(Problem{shown_uri(uri), transfer.why});
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_HTTP_RETURNED_ERROR) return fail(Problem{shown_uri(uri), fmt::format("answers {}", status)});
  return fail(Problem{shown_uri(uri), words[0] != '\0' ? words.data() : curl_easy_strerror(code)});
}

Done copy(const std::string& where, const std::string& from, int to, FetchBudget& budget) {
  // Not blocking: opening a FIFO must not hold the thread for ever.
  net::UniqueFd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!source) return fail(at(where, "cannot be opened on this machine"));
  struct stat status {};
  if (::fstat(source.get(), &status) != 0) return fail(at(where, "cannot be read on this machine"));
  if (!S_ISREG(status.st_mode)) return fail(Problem{where, "is no regular file on this machine"});
  std::vector<char> buffer(kCopyBytes);
  for (;;) {
    ssize_t count = ::read(source.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(at(where, "cannot be read on this machine"));
    if (count == 0) return Unit{};
    if (auto why = budget.spend(count)) return fail(Problem{where, *why});
    if (!write_all(to, buffer.data(), static_cast<std::size_t>(count))) return fail(at(where, "cannot be kept"));
  }
}

// "/etc/x" or "file:///etc/x" or "file://localhost/etc/x".
std::string local_path(std::string_view uri) {
  if (uri.starts_with("file://")) uri.remove_prefix(7);
  if (uri.starts_with("localhost/")) uri.remove_prefix(9);
  return std::string(uri);
}

}  // namespace

void prepare_downloads() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

Done download(const std::string& uri, const std::string& path, FetchBudget& budget) {
  net::UniqueFd fd = create(path);
  if (!fd) return fail(at(path, "cannot be made"));
  if (uri.starts_with("http://") || uri.starts_with("https://")) return download_by_http(uri, fd.get(), budget);
  std::string local = local_path(uri);
  if (!local.starts_with('/')) {
    return fail(Problem{shown_uri(uri), "cannot be fetched: only http://, https:// and file:///absolute/path can"});
  }
  return copy(shown_uri(uri), local, fd.get(), budget);
}

Done copy_file(const std::string& from, const std::string& to, FetchBudget& budget) {
  net::UniqueFd fd = create(to);
  if (!fd) return fail(at(to, "cannot be made"));
  return copy(from, from, fd.get(), budget);
}

std::string shown_uri(std::string_view uri) {
  std::string shown(uri.substr(0, uri.find_first_of("?#")));
  std::size_t authority = shown.find("://");
  if (authority == std::string::npos) return shown;
  authority += 3;
  std::size_t end = shown.find('/', authority), at = shown.rfind('@', end);
  if (at != std::string::npos && at > authority) shown.erase(authority, at + 1 - authority);
  return shown;
}

}  // namespace lotse::agent
