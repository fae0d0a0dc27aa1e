// GET /ui/: what runs, for a person with a browser, and links to the rest. Plain HTML without a script. Pure.
#pragma once

#include <string>

#include "scheduler/core/state.h"

namespace lotse::scheduler {

std::string start_page(const State& state);  // of at most 1,000 apps

}  // namespace lotse::scheduler
