// SPDX-License-Identifier: Apache-2.0
#include "cli/sites.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/doc_file.h"
#include "cli/http_get.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::milliseconds kTimeout{10'000};

std::string Line(const Json& site) {
  std::string line = Printable(site.at("site").get<std::string>());
  const int64_t forgotten_ms = site.at("forgotten_ms").get<int64_t>();
  if (forgotten_ms > 0) {
    line += fmt::format("  forgotten on {:%Y-%m-%d}", fmt::gmtime(forgotten_ms / 1000));
  } else if (site.at("gone").get<bool>()) {
    line += "  not waited for";
  }
  return line + "\n";
}

// The error of an answer that is none.
Error Refusal(const HttpReply& reply) {
  const Json body = Json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  std::string message = fmt::format("the server answers with status {}", reply.status);
  const auto detail = Json::json_pointer("/error/message");
  if (body.is_object() && body.contains(detail) && body[detail].is_string()) {
    message += ": " + Printable(body[detail].get<std::string>());
  }
  return IoError(message);
}

Result<Bytes> Ask(const std::string& url_text, const std::string& path, bool is_post) {
  MERROW_ASSIGN(HttpUrl url, ParseHttpUrl(url_text));
  url.path = path;
  MERROW_ASSIGN(HttpReply reply, is_post ? HttpPost(url, kTimeout) : HttpGet(url, kTimeout));
  if (reply.status != 200) return Refusal(reply);
  return std::move(reply.body);
}

int Print(const Result<std::string>& text) {
  if (!text.ok()) {
    std::cerr << "merrow: " << text.error().ToString() << std::endl;
    return 1;
  }
  std::cout << *text << std::flush;
  return 0;
}

Result<std::string> List(const std::string& url) {
  MERROW_ASSIGN(const Bytes json, Ask(url, "/v1/sites", /*is_post=*/false));
  return SitesText(json);
}

Result<std::string> Change(const std::string& url, const std::string& site, const char* how,
                           const char* done) {
  if (site.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    return InvalidArgument("'" + Printable(site) + "' is not a site id in hexadecimal digits");
  }
  MERROW_ASSIGN(const Bytes json, Ask(url, "/v1/sites/" + site + "/" + how, /*is_post=*/true));
  const Json body = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object() || !body.contains("site") || !body["site"].is_string()) {
    return Corruption("the answer is not that of a Merrow server");
  }
  return "site " + Printable(body["site"].get<std::string>()) + " " + done + "\n";
}

}  // namespace

Result<std::string> SitesText(BytesView json) {
  const Json sites = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  try {
    if (!sites.is_array()) return Corruption("the answer is not that of a Merrow server");
    std::string text;
    for (const Json& site : sites) text += Line(site);
    return text.empty() ? "no other site was ever heard of\n" : text;
  } catch (const Json::exception&) {
    // A member that is missing or of another type.
    return Corruption("the answer is not that of a Merrow server");
  }
}

void AddSites(CLI::App& app, int& exit_code) {
  struct Flags {
    std::string url = "http://127.0.0.1:6377";
    std::string site;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App* sites = app.add_subcommand("sites", "The other sites that a server knows");
  sites->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = sites->add_subcommand(name, help);
    command->add_option("--url", flags->url, "http://HOST:PORT of the server")
        ->capture_default_str();
    return command;
  };
  add("list", "All sites that were ever heard of")->callback([flags, &exit_code] {
    exit_code = Print(List(flags->url));
  });
  CLI::App* forget =
      add("forget", "A site is lost for good: deleted rows need not be remembered for it");
  CLI::App* remember = add("remember", "Takes `forget` back");
  for (CLI::App* command : {forget, remember}) {
    command->add_option("SITE", flags->site, "its id, or the first digits of it")->required();
  }
  forget->callback([flags, &exit_code] {
    exit_code = Print(Change(flags->url, flags->site, "forget", "is forgotten"));
  });
  remember->callback([flags, &exit_code] {
    exit_code = Print(Change(flags->url, flags->site, "remember", "counts again"));
  });
}

}  // namespace merrow::cli
