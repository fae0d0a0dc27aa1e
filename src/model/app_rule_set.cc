#include "model/app_rule_set.h"

#include "model/definition_field.h"
#include "model/json_writer.h"

namespace lotse::model {

void Broken::add(std::string_view path, std::string_view sentence) { add_detail(details, path, sentence); }

void Broken::unless_within(std::string_view path, double value, double least, double most) {
  if (value < least) add(path, "is less than " + number_text(least));
  if (value > most) add(path, "is greater than " + number_text(most));
}

std::string item(std::string_view list, std::size_t index, std::string_view member) {
  std::string path = std::string(list) + "(" + std::to_string(index) + ")";
  if (!member.empty()) path += "/" + std::string(member);
  return path;
}

std::string number_text(double value) {
  JsonWriter writer(24);
  writer.value(value);
  return writer.take();
}

}  // namespace lotse::model
