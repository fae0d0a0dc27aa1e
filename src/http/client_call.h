// One call of the client: finds a connection (idle, or by look-up and connecting to each address in turn), sends the
// request, gathers or streams the answer, keeps the timeouts. Ends exactly once: answered, failed or cancelled. Kept
// alive by the handle that its caller holds. Internal to the client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/client_connection.h"
#include "net/resolver.h"
#include "net/timers.h"

namespace lotse::http {

class ClientCall;

// What a call needs of its client.
class ClientCallOwner {
 public:
  virtual ClientPool& pool() = 0;
  virtual const Client::Options& options() const = 0;
  virtual void forget(ClientCall& call) = 0;

 protected:
  ~ClientCallOwner() = default;
};

class ClientCall final : public ClientConnectionUser, public std::enable_shared_from_this<ClientCall> {
 public:
  using OnDone = std::function<void(Result<ClientResponse>)>;
  ClientCall(ClientCallOwner& owner, ClientRequest request, OnDone on_done, ClientListener* listener);
  void start();
  void cancel();  // no callback comes
  void pause();
  void resume();

 private:
  void on_connected() override;
  void on_response_head(const ResponseHead& head) override;
  void on_response_body(std::string_view bytes) override;
  void on_response_complete() override;
  void on_connection_failed(Error error) override;

  bool is_sound() const;  // nothing in the request could end its head early
  void write_head();
  void connect_afresh();
  void connect_to_next_address();
  void send();
  void on_timeout();
  void end();  // gives everything back
  void fail(Error error);
  void fail_later(Error error);

  ClientCallOwner* owner_;  // null: ended
  ClientRequest request_;
  OnDone on_done_;
  ClientListener* const listener_;  // null: the answer is gathered
  std::string head_;
  Method method_;
  std::shared_ptr<ClientConnection> connection_;
  std::unique_ptr<net::Lookup> lookup_;
  std::vector<net::Address> addresses_;
  std::size_t next_address_ = 0;
  net::Timer timeout_;          // of the whole call; for streams until the head
  net::Timer connect_timeout_;  // of one address
  std::optional<Error> later_;
  bool is_reused_ = false;  // the connection came from the pool
  bool was_replayed_ = false;
  bool is_paused_ = false;
  ClientResponse response_;
};

}  // namespace lotse::http
