// SPDX-License-Identifier: Apache-2.0
//
// The text is read twice: once to see that it is JSON and not too deep, and once into a tree.
#include "loro/json_updates_schema.h"

namespace merrow::loro {
namespace {

using Json = nlohmann::json;

/// Checks a text by reading it: events of the parser.
class SyntaxCheck final : public nlohmann::json_sax<Json> {
 public:
  const std::string& problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(size_t) override { return Enter(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    problem_ = "not JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool Enter() {
    if (++depth_ <= kJsonDepthMax) return true;
    problem_ = "nested deeper than " + std::to_string(kJsonDepthMax);
    return false;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  size_t depth_ = 0;
  std::string problem_;
};

}  // namespace

Result<Json> ParseJsonText(std::string_view text) {
  SyntaxCheck check;
  if (!Json::sax_parse(text.begin(), text.end(), &check)) return InvalidArgument(check.problem());
  return Json::parse(text.begin(), text.end(), nullptr, false);
}

}  // namespace merrow::loro
