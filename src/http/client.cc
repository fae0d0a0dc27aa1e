#include "http/client.h"

#include <unordered_map>

#include "http/client_call.h"
#include "http/client_pool.h"
#include "net/loop.h"

namespace lotse::http {

namespace {

// What the caller holds: letting go of it cancels, even from inside one of the call's own callbacks.
class CallHandle final : public Call {
 public:
  explicit CallHandle(std::shared_ptr<ClientCall> call) : call_(std::move(call)) {}
  ~CallHandle() override { call_->cancel(); }
  void pause() override { call_->pause(); }
  void resume() override { call_->resume(); }

 private:
  std::shared_ptr<ClientCall> call_;
};

}  // namespace

struct Client::Impl final : ClientCallOwner {
  Impl(net::Loop& loop, Options how) : options_(std::move(how)), pool_(loop, options_) {}

  ~Impl() {
    while (!calls_.empty()) {
      if (const auto call = calls_.begin()->second.lock()) {
        call->cancel();  // forgets itself here
      } else {
        calls_.erase(calls_.begin());
      }
    }
  }

  ClientPool& pool() override { return pool_; }
  const Options& options() const override { return options_; }
  void forget(ClientCall& call) override { calls_.erase(&call); }

  std::unique_ptr<Call> begin(ClientRequest request, ClientCall::OnDone on_done, ClientListener* listener) {
    auto call = std::make_shared<ClientCall>(*this, std::move(request), std::move(on_done), listener);
    calls_.emplace(call.get(), call);
    call->start();
    return std::make_unique<CallHandle>(std::move(call));
  }

  const Options options_;
  ClientPool pool_;
  std::unordered_map<ClientCall*, std::weak_ptr<ClientCall>> calls_;
};

Client::Client(net::Loop& loop, Options options) : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
Client::~Client() = default;

std::unique_ptr<Call> Client::send(ClientRequest request, std::function<void(Result<ClientResponse>)> on_done) {
  return impl_->begin(std::move(request), std::move(on_done), nullptr);
}

std::unique_ptr<Call> Client::stream(ClientRequest request, ClientListener& listener) {
  return impl_->begin(std::move(request), {}, &listener);
}

net::Loop& Client::loop() { return impl_->pool_.loop(); }

}  // namespace lotse::http
