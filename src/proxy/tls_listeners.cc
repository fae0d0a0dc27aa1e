#include "proxy/tls_listeners.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"

namespace lotse::proxy {

namespace {

// A certificate and its key are two files, and whoever renews them writes one after the other.
constexpr Duration kSettle = std::chrono::milliseconds(300);

std::set<std::string> files_of(const ListenerTlsConfig& tls) {
  std::set<std::string> files;
  for (const CertificateConfig& one : tls.certificates) files.insert({one.cert, one.key});
  if (!tls.client_ca.empty()) files.insert(tls.client_ca);
  return files;
}

std::string escaped(std::string_view text) {  // of a label's value
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

TlsListeners::TlsListeners(net::Loop& loop, OnChanged on_changed)
    : loop_(loop),
      on_changed_(std::move(on_changed)),
      settle_(loop.timers(), [this] { load_changed(); }),
      rotation_(loop.timers(), [this] { rotate(); }) {}

TlsListeners::~TlsListeners() = default;

Result<LoadedListeners, Problem> TlsListeners::load(const Config& config) const {
  LoadedListeners all;
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.tls) continue;
    auto loaded = load(listener);
    if (!loaded) return fail(Problem{"listener " + listener.name, loaded.error().text()});
    all[listener.address] = std::move(*loaded);
  }
  return all;
}

Result<LoadedTls, Problem> TlsListeners::load(const ListenerConfig& config) const {
  const ListenerTlsConfig& tls = *config.tls;
  LoadedTls loaded;
  net::TlsServerOptions options{.policy = tls.policy, .min_version = tls.min_version};
  if (!config.is_tcp()) {  // what is inside of TCP is the endpoint's to say
    if (config.http2) options.protocols.emplace_back("h2");
    options.protocols.emplace_back("http/1.1");
  }
  options.tickets = tickets_;
  // A session says that its client has shown a certificate: it counts only where the same ones are asked for.
  options.session_scope = config.name + "\n" + tls.client_ca;
  options.client_ca_file = tls.client_ca;
  options.requires_client_certificate = tls.client_certificate == ClientCertificate::required;
  for (const CertificateConfig& one : tls.certificates) {
    auto certificate = net::TlsCertificate::load(one.cert, one.key);
    if (!certificate) return fail(certificate.error());
    loaded.certificates.push_back(std::move(*certificate));
  }
  options.certificates = loaded.certificates;
  auto context = net::TlsServerContext::make(options);
  if (!context) return fail(context.error());
  loaded.context = std::move(*context);
  return loaded;
}

void TlsListeners::adopt(const Config& config, LoadedListeners loaded) {
  listeners_.clear();
  for (const ListenerConfig& one : config.listeners) {
    if (auto found = loaded.find(one.address); found != loaded.end())
      listeners_[one.address] = Listener{one, std::move(found->second)};
  }
  watch_files();
  if (!rotation_.is_armed()) rotation_.start(net::TlsTicketKeys::kRotation);
}

void TlsListeners::stop() {
  watches_.clear();
  settle_.stop();
  rotation_.stop();
}

void TlsListeners::watch_files() {
  std::set<std::string> wanted;
  for (const auto& [address, listener] : listeners_) wanted.merge(files_of(*listener.config.tls));
  std::erase_if(watches_, [&](const auto& one) { return !wanted.contains(one.first); });
  for (const std::string& file : wanted) {
    auto [place, is_new] = watches_.try_emplace(file);
    if (is_new) place->second = net::FileWatch::open(loop_, file, [this, file] { on_file_changed(file); });
  }
}

void TlsListeners::on_file_changed(const std::string& file) {
  for (auto& [address, listener] : listeners_) {
    if (files_of(*listener.config.tls).contains(file)) listener.has_changed = true;
  }
  settle_.start(kSettle);
}

void TlsListeners::load_changed() {
  for (auto& [address, listener] : listeners_) {
    if (std::exchange(listener.has_changed, false)) load_changed(address, listener);
  }
}

void TlsListeners::load_changed(const std::string& address, Listener& listener) {
  ++reloads_;
  auto loaded = load(listener.config);
  listener.is_good = loaded.has_value();
  if (!loaded) {
    ++failures_;
    return log::error("proxy", "listener {} goes on with the certificates it has: {}", listener.config.name,
                      loaded.error().text());
  }
  listener.loaded = std::move(*loaded);
  log::info("proxy", "listener {} has new certificates", listener.config.name);
  on_changed_(address, listener.loaded.context);
}

Duration TlsListeners::until_rotation() const {
  if (!rotation_.is_armed()) return net::TlsTicketKeys::kRotation;
  return std::max(rotation_.deadline() - loop_.now(), Duration::zero());
}

bool TlsListeners::restore_tickets(std::string_view bytes, Duration until_rotation) {
  if (!tickets_->restore(bytes)) return false;
  rotation_.start(std::clamp(until_rotation, Duration::zero(), Duration(net::TlsTicketKeys::kRotation)));
  return true;
}

void TlsListeners::rotate() {
  tickets_->rotate();
  rotation_.start(net::TlsTicketKeys::kRotation);
}

void TlsListeners::write_metrics(std::string& out) const {
  auto head = [&](const char* name, const char* type, const char* help) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  head("lotse_tls_reloads_total", "counter", "Times that files of a listener changed and were read.");
  out += fmt::format("lotse_tls_reloads_total {}\n", reloads_);
  head("lotse_tls_reload_failures_total", "counter", "Those that could not be used: the listener kept what it had.");
  out += fmt::format("lotse_tls_reload_failures_total {}\n", failures_);
  head("lotse_tls_files_good", "gauge", "1 when a listener uses what its files hold now.");
  for (const auto& [address, one] : listeners_)
    out += fmt::format("lotse_tls_files_good{{listener=\"{}\"}} {}\n", escaped(one.config.name), one.is_good ? 1 : 0);
  head("lotse_tls_certificate_not_after_seconds", "gauge", "When a certificate in use ends, seconds since 1970.");
  for (const auto& [address, one] : listeners_) {
    for (const auto& certificate : one.loaded.certificates) {
      const auto end = std::chrono::duration_cast<std::chrono::seconds>(certificate->not_after().time_since_epoch());
      out += fmt::format("lotse_tls_certificate_not_after_seconds{{listener=\"{}\",cert=\"{}\",type=\"{}\"}} {}\n",
                         escaped(one.config.name), escaped(certificate->cert_file()), certificate->key_type(),
                         end.count());
    }
  }
}

}  // namespace lotse::proxy
