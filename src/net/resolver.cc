#include "net/resolver.h"

#include <algorithm>
#include <utility>

#include "net/loop.h"
#include "net/uv_error.h"
#include "net/uv_handle.h"

namespace lotse::net {
namespace {

using OnResolved = std::function<void(Result<std::vector<Address>>)>;

// Nothing to look up; only the promise that the callback does not come from inside resolve().
class KnownLookup final : public Lookup {
 public:
  KnownLookup(Loop& loop, Result<std::vector<Address>> answer, OnResolved on_resolved)
      : alive_(std::make_shared<OnResolved>(std::move(on_resolved))) {
    loop.defer([weak = std::weak_ptr(alive_), answer = std::move(answer)]() mutable {
      auto callback = weak.lock();  // it may destroy the Lookup
      if (callback) (*callback)(std::move(answer));
    });
  }

 private:
  std::shared_ptr<OnResolved> alive_;
};

class UvLookup final : public Lookup {
 public:
  UvLookup(std::uint16_t port, OnResolved on_resolved) : port_(port), on_resolved_(std::move(on_resolved)) {}
  ~UvLookup() override {
    if (request_ == nullptr) return;
    request_->owner = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_->raw));  // may come too late: then it ends unheard
  }
  int start(Loop& loop, const std::string& host);

 private:
  // getaddrinfo has no handle whose box could outlive us, so the request is its own.
  struct Request {
    uv_getaddrinfo_t raw{};
    UvLookup* owner = nullptr;
  };
  static void on_uv_resolved(uv_getaddrinfo_t* raw, int status, addrinfo* found) noexcept;

  std::uint16_t port_;
  OnResolved on_resolved_;
  Request* request_ = nullptr;
};

int UvLookup::start(Loop& loop, const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;  // else each address comes once per socket type
  auto request = std::make_unique<Request>();
  request->owner = this;
  request->raw.data = request.get();
  int code = uv_getaddrinfo(loop.raw(), &request->raw, on_uv_resolved, host.c_str(), nullptr, &hints);
  if (code == 0) request_ = request.release();
  return code;
}

Result<std::vector<Address>> addresses_of(const addrinfo* found, std::uint16_t port) {
  std::vector<Address> addresses;
  for (; found != nullptr; found = found->ai_next) {
    auto ip = Address::from_sockaddr(found->ai_addr, found->ai_addrlen).ip();
    auto address = Address::from_ip(ip, port);
    if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  if (addresses.empty()) return fail(error_from_uv(UV_EAI_NODATA));
  return addresses;
}

void UvLookup::on_uv_resolved(uv_getaddrinfo_t* raw, int status, addrinfo* found) noexcept {
  std::unique_ptr<Request> request(static_cast<Request*>(raw->data));
  std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> owned(found, uv_freeaddrinfo);
  UvLookup* self = request->owner;
  if (self == nullptr) return;
  self->request_ = nullptr;
  OnResolved callback = std::move(self->on_resolved_);
  if (status == 0) {
    callback(addresses_of(found, self->port_));
  } else {
    Error error = error_from_uv(status);
    error.code = Errc::resolve_failed;
    error.retry = Retry::always;
    callback(fail(error));
  }
}

}  // namespace

std::unique_ptr<Lookup> resolve(Loop& loop, const std::string& host, std::uint16_t port, OnResolved on_resolved) {
  std::string_view ip = host;
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  if (auto address = Address::from_ip(ip, port)) {
    return std::make_unique<KnownLookup>(loop, std::vector{*address}, std::move(on_resolved));
  }
  Error error{.code = Errc::resolve_failed, .origin = Origin::local, .retry = Retry::always};
  if (host.empty() || host.find('\0') != host.npos) {
    return std::make_unique<KnownLookup>(loop, fail(error), std::move(on_resolved));
  }
  auto lookup = std::make_unique<UvLookup>(port, on_resolved);
  int code = lookup->start(loop, host);
  if (code == 0) return lookup;
  error.uv_code = code;  // a name that is too long, or that IDNA refuses
  return std::make_unique<KnownLookup>(loop, fail(error), std::move(on_resolved));
}

}  // namespace lotse::net
