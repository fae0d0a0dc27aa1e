// Docker's event stream for our own containers, opened again for ever. What is missed between two connections is the
// owner's to find: on_up means "list everything now", and comes before the first event of that connection.
// Owned by the Docker runtime; one loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/docker_answers.h"
#include "agent/docker_client.h"
#include "net/timers.h"

namespace lotse::agent {

class DockerEvents final : private http::ClientListener {
 public:
  struct Callbacks {
    std::function<void()> on_up;
    std::function<void(const std::string& words)> on_down;  // Docker's words; again at each failed attempt
    std::function<void(const DockerEvent&)> on_event;
  };
  DockerEvents(DockerClient& docker, std::string label, Callbacks callbacks);
  void start() { connect(); }
  bool is_up() const { return is_up_; }

 private:
  void connect();
  void on_head(int status, const http::Fields& fields) override;
  void on_body(std::string_view bytes) override;
  void on_complete() override;
  void on_failed(Error error) override;
  void go_down(const std::string& words);

  DockerClient& docker_;
  std::string label_;
  Callbacks callbacks_;
  net::Timer retry_;
  LineSplitter lines_;
  std::string refused_body_;
  int status_ = 0;
  bool is_up_ = false;
  Duration retry_delay_;
  std::unique_ptr<http::Call> call_;
};

}  // namespace lotse::agent
