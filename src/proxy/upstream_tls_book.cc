#include "proxy/upstream_tls_book.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "base/log.h"

namespace lotse::proxy {
namespace {

std::set<std::string> files_of(const UpstreamTlsConfig& tls) {
  std::set<std::string> files;
  if (!tls.ca.empty()) files.insert(tls.ca);
  if (tls.certificate) files.insert({tls.certificate->cert, tls.certificate->key});
  return files;
}

// Compared only; a file that cannot be read is told of by whoever needs what it holds.
std::string contents_of(const UpstreamTlsConfig& tls) {
  std::string all;
  for (const std::string& file : files_of(tls)) {
    std::ifstream in(file, std::ios::binary);
    all.append(std::istreambuf_iterator<char>(in), {});
    all += '\0';
  }
  return all;
}

}  // namespace

UpstreamTlsBook::UpstreamTlsBook(net::Loop& loop, OnChanged on_changed)
    : on_changed_(std::move(on_changed)), files_(loop, [this](const auto&) { load_changed(); }) {}

Result<UpstreamTlsBook::Entries, Problem> UpstreamTlsBook::load(const Config& config) const {
  Entries entries;
  for (const auto& [id, app] : config.apps) {
    if (!app.tls) continue;
    auto entry = load(id, *app.tls);
    if (!entry) return fail(Problem{"app " + id, entry.error().text()});
    entries.emplace(id, std::move(*entry));
  }
  return entries;
}

Result<UpstreamTlsBook::Entry, Problem> UpstreamTlsBook::load(const model::AppId& id,
                                                              const UpstreamTlsConfig& config) const {
  Entry entry{.config = config, .contents = contents_of(config), .tls = nullptr};
  if (auto known = entries_.find(id); known != entries_.end()) {
    const Entry& old = known->second;
    if (old.config == entry.config && old.contents == entry.contents) return old;
  }
  net::TlsClientOptions options{
      .ca_file = config.ca, .verifies = config.verify, .certificate = nullptr, .min_version = config.min_version};
  if (config.certificate) {
    auto certificate = net::TlsCertificate::load(config.certificate->cert, config.certificate->key);
    if (!certificate) return fail(certificate.error());
    options.certificate = std::move(*certificate);
  }
  UpstreamTls tls{.server_name = config.server_name};
  for (auto [context, protocol] : {std::pair{&tls.h1, "http/1.1"}, std::pair{&tls.h2, "h2"}}) {
    options.protocols = {protocol};
    auto made = net::TlsClientContext::make(options);
    if (!made) return fail(made.error());
    *context = std::move(*made);
  }
  entry.tls = std::make_shared<const UpstreamTls>(std::move(tls));
  return entry;
}

UpstreamTlsByApp UpstreamTlsBook::adopt(Entries entries) {
  entries_ = std::move(entries);
  problems_.clear();
  std::set<std::string> files;
  for (const auto& [id, entry] : entries_) files.merge(files_of(entry.config));
  files_.watch(files);
  return current();
}

void UpstreamTlsBook::load_changed() {
  bool has_changed = false;
  for (auto& [id, entry] : entries_) {
    auto loaded = load(id, entry.config);
    if (!loaded) {
      problems_[id] = loaded.error().text();
      log::error("proxy", "app {} is spoken to with the TLS files that were there before: {}", id, problems_[id]);
      continue;
    }
    problems_.erase(id);
    if (loaded->tls == entry.tls) continue;
    has_changed = true;
    entry = std::move(*loaded);
    log::info("proxy", "app {} is spoken to with new TLS files", id);
  }
  if (has_changed) on_changed_(current());
}

UpstreamTlsByApp UpstreamTlsBook::current() const {
  UpstreamTlsByApp all;
  for (const auto& [id, entry] : entries_) all[id] = entry.tls;
  return all;
}

void UpstreamTlsBook::write_metrics(std::string& out) const {
  out += fmt::format(
      "# HELP lotse_upstream_tls_bad_files Apps whose TLS files have changed and cannot be used.\n"
      "# TYPE lotse_upstream_tls_bad_files gauge\nlotse_upstream_tls_bad_files {}\n",
      problems_.size());
}

}  // namespace lotse::proxy
