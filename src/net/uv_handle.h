// The box a libuv handle lives in: libuv uses a handle until its close callback, so our objects own only the right to
// detach from it. Included by the .cc files of net and by nobody else. Owner: the object whose member it is.
#pragma once

#include <uv.h>

#include <memory>
#include <utility>

#include "base/check.h"

namespace lotse::net {

template <typename Raw, typename Owner>
class UvHandle {
 public:
  UvHandle() = default;
  UvHandle(const UvHandle&) = delete;
  UvHandle& operator=(const UvHandle&) = delete;
  ~UvHandle() { close(); }

  // `init` calls uv_xxx_init, and nothing else, and returns its code: on failure libuv kept nothing, so neither do we.
  // The owner must not move while the handle is open.
  template <typename Init>
  int open(Owner& owner, Init init) {
    CHECK(box_ == nullptr);
    auto box = std::make_unique<Box>();
    if (int code = init(&box->raw); code != 0) return code;
    box->owner = &owner;
    uv_handle_set_data(reinterpret_cast<uv_handle_t*>(&box->raw), box.get());
    box_ = box.release();
    return 0;
  }

  // Detach now, free later: from here on no callback reaches the owner.
  void close() {
    Box* box = std::exchange(box_, nullptr);
    if (box == nullptr) return;
    box->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&box->raw),
             [](uv_handle_t* handle) { delete static_cast<Box*>(uv_handle_get_data(handle)); });
  }

  bool is_open() const { return box_ != nullptr; }
  Raw* raw() const { return &box_->raw; }

  // Null: the owner has gone and the event is to be dropped.
  template <typename Handle>
  static Owner* owner_of(const Handle* handle) {
    return static_cast<Box*>(handle->data)->owner;
  }

 private:
  struct Box {
    Raw raw{};
    Owner* owner = nullptr;
  };
  Box* box_ = nullptr;
};

}  // namespace lotse::net
