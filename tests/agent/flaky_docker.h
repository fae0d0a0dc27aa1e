// A unix socket in front of the real Docker that misbehaves on demand: it lets a request through and drops the answer
// (the caller cannot know whether it happened), or is not there at all (the daemon is down).
#pragma once

#include <list>
#include <memory>
#include <string>

#include "net/listen.h"
#include "net/loop.h"
#include "net/stream.h"

namespace lotse::agent {

class FlakyDocker {
 public:
  FlakyDocker(net::Loop& loop, std::string path, std::string real_path);
  ~FlakyDocker();

  void go_down();
  void come_up();
  // The next `count` requests beginning with `prefix` ("POST /containers/create") reach Docker; their answers do not
  // come back, and the connection is closed once Docker has answered.
  void drop_answers_to(std::string prefix, int count);
  int dropped() const { return dropped_; }
  int seen(const std::string& prefix) const;  // requests so far that begin so

 private:
  struct Pair;
  void sweep();

  net::Loop& loop_;
  std::string path_, real_path_, drop_prefix_;
  int drop_left_ = 0, dropped_ = 0;
  std::unique_ptr<net::Listener> listener_;
  std::list<std::unique_ptr<Pair>> pairs_;
  std::list<std::string> requests_;
  std::shared_ptr<bool> is_here_ = std::make_shared<bool>(true);
};

}  // namespace lotse::agent
