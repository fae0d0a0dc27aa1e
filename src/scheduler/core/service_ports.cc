#include "scheduler/core/service_ports.h"

#include <algorithm>

namespace lotse::scheduler {
namespace {

// The places in a definition that hold service ports, in the order of its ports.
std::vector<int*> places_in(model::App& app) {
  std::vector<int*> places;
  for (model::PortDefinition& definition : app.port_definitions) places.push_back(&definition.port);
  if (app.container && app.container->port_mappings) {
    for (model::PortMapping& mapping : *app.container->port_mappings) places.push_back(&mapping.service_port);
  }
  return places;
}

}  // namespace

std::vector<int> service_ports_of(const model::App& app) {
  std::vector<int> ports;
  for (const model::PortDefinition& definition : app.port_definitions) ports.push_back(definition.port);
  if (app.container && app.container->port_mappings) {
    for (const model::PortMapping& mapping : *app.container->port_mappings) ports.push_back(mapping.service_port);
  }
  return ports;
}

bool assign_service_ports(const State& state, const model::App* before, model::App& app, std::set<int>& taken) {
  const std::vector<int*> places = places_in(app);
  const std::vector<int> old = before != nullptr ? service_ports_of(*before) : std::vector<int>{};
  std::set<int> own;
  for (const int* place : places) {
    if (*place != 0) own.insert(*place);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (*places[i] != 0) continue;
    if (i < old.size() && old[i] != 0 && own.insert(old[i]).second) *places[i] = old[i];
  }
  int candidate = state.settings.service_port_first;
  for (int* place : places) {
    if (*place != 0) continue;
    while (candidate <= state.settings.service_port_last &&
           (state.service_ports.contains(candidate) || taken.contains(candidate) || own.contains(candidate))) {
      ++candidate;
    }
    if (candidate > state.settings.service_port_last) return false;
    *place = candidate;
    own.insert(candidate);
  }
  taken.insert(own.begin(), own.end());
  return true;
}

void claim_service_ports(State& state, const model::App& app) {
  for (int port : service_ports_of(app)) ++state.service_ports[port];
}

void release_service_ports(State& state, const model::App& app) {
  for (int port : service_ports_of(app)) {
    auto claims = state.service_ports.find(port);
    if (claims != state.service_ports.end() && --claims->second <= 0) state.service_ports.erase(claims);
  }
}

}  // namespace lotse::scheduler
