// Who to be towards a registry: asked before each pull, so that a `docker login` on this machine counts from the next
// one on. The task's own config (Marathon's docker.tar.gz among `fetch`) comes before the machine's.
// Owned by the agent; loop thread.
#pragma once

#include <string>

#include "agent/unit_result.h"
#include "base/async.h"

namespace lotse::net {
class Loop;
}

namespace lotse::agent {

struct RegistryLogin {
  std::string field;  // for X-Registry-Auth; empty: none
  std::string words;  // who that is or why it is nobody, for the message of a pull that was denied
};

class RegistryLogins {
 public:
  RegistryLogins(net::Loop& loop, std::string config_path) : loop_(loop), config_path_(std::move(config_path)) {}

  Async<RegistryLogin> login(std::string image, std::string sandbox_path);

 private:
  // `is_trusted`: may name a program of this machine to ask.
  Async<RegistryLogin> login_by(std::string config_path, std::string registry, bool is_trusted);

  net::Loop& loop_;
  std::string config_path_;
};

// Does the failure of a pull sound as if another login would help?
bool sounds_denied(std::string_view words);

}  // namespace lotse::agent
