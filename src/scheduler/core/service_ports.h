// Service ports: numbers unique over the cluster by which old load balancers know an app's ports. Assigned where a
// definition says 0, kept over updates by their place in the list.
#pragma once

#include <set>
#include <vector>

#include "scheduler/core/state.h"

namespace lotse::scheduler {

std::vector<int> service_ports_of(const model::App& app);

// Fills every 0 of `app`. `before`: the definition it replaces, or nullptr. `taken`: numbers given away in the same
// change; grows. false: none is left.
bool assign_service_ports(const State& state, const model::App* before, model::App& app, std::set<int>& taken);

// The index of who claims what: State::service_ports.
void claim_service_ports(State& state, const model::App& app);
void release_service_ports(State& state, const model::App& app);

}  // namespace lotse::scheduler
