// SPDX-License-Identifier: Apache-2.0
#include "server/http_api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/hub_notices.h"
#include "server/metrics_page.h"
#include "server/sync_socket.h"

namespace merrow::server {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using net::ResponseWriter;

// How long the pages that show a status wait for the store's part.
constexpr std::chrono::milliseconds kStoreAnswerMax{1000};

HttpResponse ErrorResponse(const Error& error) {
  return HttpResponse::Json(HttpStatusOf(error.code()), ErrorJson(error));
}

// Refuses a request, with a line in the log.
void Refuse(const HttpRequest& request, ResponseWriter& response, const Error& error) {
  spdlog::warn("{} {} from {} refused: {}", request.method, request.target, request.remote_address,
               error.ToString());
  response.Send(ErrorResponse(error));
}

// The `update` of a body {"update":"<hex>"}.
Result<Bytes> ParseUpdateBody(BytesView body) {
  // Nothing else is built: JSON in memory can be many times as large as its text.
  using Json = nlohmann::json;
  const auto keep = [](int depth, Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::key) return parsed == "update";
    const bool opens =
        event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start;
    return !opens || (depth == 0 && event == Json::parse_event_t::object_start);
  };
  const Json json = Json::parse(body, keep, false);
  if (!json.is_object() || !json.contains("update") || !json["update"].is_string()) {
    return InvalidArgument(R"(the body is not like {"update":"<hex>"})");
  }
  return FromHex(json["update"].get_ref<const std::string&>());
}

std::string VersionJson(const loro::VersionVector& version) {
  return "\"vv\":\"" + ToBase64(version.Encode()) + "\"";
}

cells::Value ToCellValue(const OwnedSqlValue& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return cells::Value::Integer(*boolean);
  if (const auto* integer = std::get_if<int64_t>(&value)) return cells::Value::Integer(*integer);
  if (const auto* real = std::get_if<double>(&value)) return cells::Value::Real(*real);
  if (const auto* text = std::get_if<std::string>(&value)) return cells::Value::Text(*text);
  if (const auto* blob = std::get_if<OwnedSqlBlob>(&value)) return cells::Value::Blob(blob->bytes);
  return cells::Value::Null();
}

std::vector<store::SqlWrite> ToWrites(std::vector<SqlStatement> statements) {
  std::vector<store::SqlWrite> writes;
  writes.reserve(statements.size());
  for (SqlStatement& statement : statements) {
    store::SqlWrite& write = writes.emplace_back();
    write.sql = std::move(statement.sql);
    write.values.reserve(statement.params.size());
    for (const OwnedSqlValue& param : statement.params) write.values.push_back(ToCellValue(param));
  }
  return writes;
}

Error StoreIsFull() { return Busy("the store has more waiting than it takes; try again"); }

Result<store::Executed> Execute(store::Store& store, BytesView body) {
  MERROW_ASSIGN(std::vector<SqlStatement> statements, ParseTransactionRequest(body));
  const std::vector<store::SqlWrite> writes = ToWrites(std::move(statements));
  return store.Execute(writes);
}

// {"rows_changed":[1,0],"version":7}
std::string ExecutedJson(const store::Executed& executed) {
  std::string json = "{\"rows_changed\":[";
  for (const int64_t count : executed.rows_changed) {
    if (json.back() != '[') json.push_back(',');
    json += std::to_string(count);
  }
  return json + "],\"version\":" + std::to_string(executed.version) + "}\n";
}

bool Matches(const HttpRequest& request, std::initializer_list<std::string_view> prefix,
             size_t segments) {
  if (request.segments.size() != segments) return false;
  size_t i = 0;
  for (const std::string_view part : prefix) {
    if (request.segments[i++] != part) return false;
  }
  return true;
}

}  // namespace

void HttpApi::Handle(HttpRequest request, ResponseWriter response) {
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  const auto expect = [&](bool is_allowed, std::string_view allowed) {
    if (is_allowed) return true;
    HttpResponse refusal =
        HttpResponse::Json(405, ErrorJson("method_not_allowed", "use " + std::string(allowed)));
    refusal.headers.push_back({"Allow", std::string(allowed)});
    response.Send(std::move(refusal));
    return false;
  };
  const bool is_post = request.method == "POST";
  if (Matches(request, {"healthz"}, 1)) {
    if (expect(is_read, "GET, HEAD")) response.Send(HttpResponse::Text(200, "ok\n"));
  } else if (Matches(request, {"metrics"}, 1)) {
    if (expect(is_read, "GET, HEAD")) Metrics(std::move(response));
  } else if (Matches(request, {"v1", "rows"}, 4)) {
    if (expect(is_read, "GET, HEAD")) GetRow(request, std::move(response));
  } else if (Matches(request, {"v1", "status"}, 2)) {
    if (expect(is_read, "GET, HEAD")) GetStatus(std::move(response));
  } else if (Matches(request, {"v1", "transactions"}, 2)) {
    if (expect(is_post, "POST")) PostTransaction(std::move(request), std::move(response));
  } else if (Matches(request, {"v1", "sites"}, 2)) {
    if (expect(is_read, "GET, HEAD")) GetSites(std::move(response));
  } else if (Matches(request, {"v1", "sites"}, 4)) {
    if (expect(is_post, "POST")) PostSite(request, std::move(response));
  } else if (Matches(request, {"v1", "queries"}, 2)) {
    if (expect(is_post, "POST")) PostQuery(request, std::move(response));
  } else if (Matches(request, {"api", "crdt"}, 4)) {
    if (expect(is_post, "POST")) PostUpdate(request, std::move(response));
  } else if (Matches(request, {"sync"}, 1) || Matches(request, {"rows"}, 1)) {
    HttpResponse refusal = HttpResponse::Json(
        426,
        ErrorJson("upgrade_required",
                  "WebSockets only: the request has no Upgrade header (did a proxy drop it?)"));
    refusal.headers.push_back({"Upgrade", "websocket"});
    response.Send(std::move(refusal));
  } else if (!parts_.files.empty() && expect(is_read, "GET, HEAD")) {
    response.Send(parts_.files.Get(request));
  } else if (parts_.files.empty()) {
    response.Send(ErrorResponse(NotFound("nothing at " + request.target)));
  }
}

net::WebSocketHandler::Decision HttpApi::Accept(const HttpRequest& request) {
  if (Matches(request, {"sync"}, 1)) {
    return MakeSyncSocket(parts_.hub, sync::Dialect::kLoroProtocol, parts_.clock);
  }
  if (Matches(request, {"rows"}, 1)) {
    return MakeSyncSocket(parts_.hub, sync::Dialect::kRowFrames, parts_.clock);
  }
  return ErrorResponse(NotFound("WebSockets are at /sync and /rows, not at " + request.target));
}

void HttpApi::AskStatus(OnStatus done) {
  const auto question = status_questions_.insert(status_questions_.end(), {std::move(done), {}});
  question->timeout = parts_.loop.RunAfter(kStoreAnswerMax, [this, question] {
    const OnStatus on_status = std::move(question->done);
    status_questions_.erase(question);
    AnswerStatus(on_status, std::nullopt);
  });
  // Whoever asks while the store hangs leaves nothing in its queue.
  if (std::exchange(store_is_asked_, true)) return;
  parts_.store.Run([this](store::Store& store) -> std::function<void()> {
    return [this, stats = store.stats()] {
      store_is_asked_ = false;
      for (const StatusQuestion& asked : std::exchange(status_questions_, {})) {
        AnswerStatus(asked.done, stats);
      }
    };
  });
}

void HttpApi::AnswerStatus(const OnStatus& done, std::optional<store::StoreStats> stats) const {
  ServerStatus status;
  status.urls = urls_;
  status.uptime_ms = (parts_.clock.MonotonicMicros() - start_micros_) / 1000;
  status.unix_ms = parts_.clock.UnixMillis();
  status.threads = watchdog_->report();
  status.store = stats;
  if (parts_.replication != nullptr) {
    ReplicationStatus& replication = status.replication.emplace();
    replication.report = parts_.replication->replicator().report();
    replication.links = parts_.replication->links().report();
    replication.secrets = parts_.replication->secrets();
    if (const net::PeerListener* listener = parts_.replication->links().listener()) {
      replication.listened = listener->counters();
    }
  }
  done(status);
}

void HttpApi::Metrics(ResponseWriter response) {
  AskStatus([this, response](const ServerStatus& status) mutable {
    HttpResponse page =
        HttpResponse::Text(200, MetricsPage(*net_counters_, parts_.hub.metrics(), status));
    page.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
    response.Send(std::move(page));
  });
}

void HttpApi::GetStatus(ResponseWriter response) {
  AskStatus([response](const ServerStatus& status) mutable {
    response.Send(HttpResponse::Json(200, StatusJson(status) + "\n"));
  });
}

void HttpApi::GetRow(const HttpRequest& request, ResponseWriter response) {
  const sync::RowKey row{request.segments[2], request.segments[3]};
  const Status valid = parts_.rows.CheckRow(row);
  if (!valid.ok()) return Refuse(request, response, valid.error());
  parts_.store.Run([row, response](store::Store& store) -> std::function<void()> {
    Result<std::string> json = store.ReadRow(row.table, row.key);
    if (!json.ok() && json.error().code() != ErrorCode::kNotFound) {
      spdlog::error("row {}/{} cannot be read: {}", row.table, row.key, json.error().ToString());
    }
    return [response, json = std::move(json)]() mutable {
      if (json.ok()) {
        return response.Send(HttpResponse::Json(200, std::move(json).value() + "\n"));
      }
      HttpResponse answer = ErrorResponse(json.error());
      // What is damaged is the stored document, not the request.
      if (json.error().code() == ErrorCode::kCorruption) answer.status = 500;
      response.Send(std::move(answer));
    };
  });
}

void HttpApi::PostQuery(const HttpRequest& request, ResponseWriter response) {
  Result<SqlStatement> query = ParseQueryRequest(request.body);
  if (!query.ok()) return Refuse(request, response, query.error());
  // First what the rows of long documents still lack, so that the query sees every edit that was
  // acknowledged before it.
  const bool is_taken = parts_.store.TryRun(
      request.body.size(),
      [this, response,
       query = std::move(query).value()](store::Store& store) -> std::function<void()> {
        return [this, response, query, flushed = store.FlushProjections()]() mutable {
          if (!flushed.ok()) return response.Send(ErrorResponse(flushed.error()));
          parts_.queries.Start(std::move(query), std::move(response));
        };
      });
  if (!is_taken) Refuse(request, response, StoreIsFull());
}

void HttpApi::PostTransaction(HttpRequest request, ResponseWriter response) {
  const size_t bytes = request.body.size();
  const auto shared = std::make_shared<const HttpRequest>(std::move(request));
  // The body may be long: where its transaction runs it is read as well, and not on the loop, where
  // all clients would wait for that.
  const bool is_taken = parts_.store.TryRun(
      bytes, [this, shared, response](store::Store& store) -> std::function<void()> {
        return [this, shared, response, executed = Execute(store, shared->body)]() mutable {
          if (!executed.ok()) return Refuse(*shared, response, executed.error());
          TellHub(std::move(executed->notices), &parts_.hub);
          response.Send(HttpResponse::Json(200, ExecutedJson(*executed)));
        };
      });
  if (!is_taken) Refuse(*shared, response, StoreIsFull());
}

bool HttpApi::IsConnected(std::string_view site_hex) const {
  const replication::Report report = parts_.replication->replicator().report();
  return std::any_of(report.links.begin(), report.links.end(), [&](const auto& link) {
    return link.state == replication::LinkState::kOpen && link.peer.has_value() &&
           ToHex(link.peer->view()).starts_with(site_hex);
  });
}

void HttpApi::GetSites(ResponseWriter response) {
  if (parts_.replication == nullptr) {
    return response.Send(ErrorResponse(NotFound("this server does not replicate")));
  }
  parts_.store.Run([response](store::Store& store) -> std::function<void()> {
    return [response, sites = store.KnownSites()]() mutable {
      if (!sites.ok()) return response.Send(ErrorResponse(sites.error()));
      response.Send(HttpResponse::Json(200, SitesJson(*sites) + "\n"));
    };
  });
}

void HttpApi::PostSite(const HttpRequest& request, ResponseWriter response) {
  std::string site = request.segments[2];
  std::transform(site.begin(), site.end(), site.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  const bool forgets = request.segments[3] == "forget";
  if (parts_.replication == nullptr || (!forgets && request.segments[3] != "remember")) {
    return Refuse(request, response,
                  NotFound(parts_.replication == nullptr ? "this server does not replicate"
                                                         : "nothing at " + request.target));
  }
  // What is shorter the store refuses, whoever it names.
  if (forgets && site.size() >= store::kSiteDigitsMin && IsConnected(site)) {
    return Refuse(request, response, Conflict("site " + site + " is connected, so it is not lost"));
  }
  parts_.store.Run([this, site, forgets, response,
                    target = request.target](store::Store& store) -> std::function<void()> {
    return [this, response, target, forgets,
            found = forgets ? store.ForgetSite(site) : store.RememberSite(site)]() mutable {
      if (!found.ok()) {
        spdlog::warn("POST {} refused: {}", target, found.error().ToString());
        return response.Send(ErrorResponse(found.error()));
      }
      parts_.replication->OnForgotten(*found, forgets);
      const std::string id = ToHex(found->view());
      spdlog::warn("site {} is {}", id, forgets ? "forgotten" : "remembered again");
      response.Send(HttpResponse::Json(200, "{\"site\":\"" + id + "\"}\n"));
    };
  });
}

void HttpApi::PostUpdate(const HttpRequest& request, ResponseWriter response) {
  const sync::RowKey row{request.segments[2], request.segments[3]};
  const Status valid = parts_.rows.CheckRow(row);
  if (!valid.ok()) return Refuse(request, response, valid.error());
  Result<Bytes> update = ParseUpdateBody(request.body);
  if (!update.ok()) return Refuse(request, response, update.error());
  parts_.rows.Submit(
      row, std::make_shared<const Bytes>(std::move(update).value()),
      [this, row, request = request.method + " " + request.target,
       response](sync::SubmitOutcome outcome) mutable {
        if (const auto* applied = std::get_if<sync::Applied>(&outcome)) {
          parts_.hub.OnCommitted(row, applied->before, applied->after, applied->delta);
          response.Send(
              HttpResponse::Json(200, "{\"ok\":true," + VersionJson(*applied->after) + "}"));
          return;
        }
        if (const auto* missing = std::get_if<sync::MissingDependencies>(&outcome)) {
          spdlog::warn("{} refused: the update follows ops that are not here", request);
          std::string body =
              ErrorJson("missing_dependencies",
                        "the update follows ops that are not here; send what vv lacks");
          body.resize(body.size() - 2);
          response.Send(
              HttpResponse::Json(409, body + "," + VersionJson(*missing->version) + "}}"));
          return;
        }
        const Error& error = std::get<Error>(outcome);
        spdlog::warn("{} refused: {}", request, error.ToString());
        response.Send(ErrorResponse(error));
      });
}

}  // namespace merrow::server
