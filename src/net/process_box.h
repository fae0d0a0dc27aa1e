// What the loop must know of processes when it ends: a Process that was destroyed leaves its handle behind, so that the
// child is still reaped, and this closes it. Included by loop.cc and process.cc.
#pragma once

#include <uv.h>

namespace lotse::net {

void close_detached_process(uv_handle_t* handle);

}  // namespace lotse::net
