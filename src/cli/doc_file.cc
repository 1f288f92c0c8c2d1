// SPDX-License-Identifier: Apache-2.0
#include "cli/doc_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <istream>
#include <ostream>

#include "cli/output_file.h"
#include "loro/json_writer.h"
#include "loro/utf8.h"

namespace merrow::cli {
namespace {

constexpr size_t kReadBytes = size_t{1} << 16;
constexpr size_t kPreviewScalars = 40;
// Spans, and levels of nesting, that one line shows.
constexpr size_t kSpansShown = 8;
constexpr int kPreviewDepth = 4;
constexpr std::string_view kCut = "...";

// The scalar of two or three bytes at the start of `text`; 0 for any other.
uint32_t ShortScalar(std::string_view text) {
  const auto byte = [text](size_t i) {
    return static_cast<uint32_t>(static_cast<uint8_t>(text[i]));
  };
  if (text.size() >= 2 && (byte(0) & 0xE0) == 0xC0) return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  if (text.size() >= 3 && (byte(0) & 0xF0) == 0xE0) {
    return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  }
  return 0;
}

bool ActsOnTerminal(uint32_t scalar) {
  return (scalar >= 0x80 && scalar <= 0x9F) || scalar == 0x61C ||     // C1, Arabic letter mark
         scalar == 0x200E || scalar == 0x200F ||                      // direction marks
         (scalar >= 0x2028 && scalar <= 0x202E) ||                    // line ends, embeddings
         (scalar >= 0x2066 && scalar <= 0x2069) || scalar == 0xFEFF;  // isolates, byte order mark
}

void AppendEscape(uint32_t scalar, std::string* out) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", scalar);
  *out += text.data();
}

nlohmann::json ToJson(const loro::Value& value) {
  using Json = nlohmann::json;
  if (const auto* flag = value.If<bool>()) return *flag;
  if (const auto* integer = value.If<int64_t>()) return *integer;
  if (const auto* number = value.If<double>()) return *number;
  if (const auto* text = value.If<std::string>()) return *text;
  if (const auto* binary = value.If<loro::Value::Binary>()) {
    return std::to_string(binary->bytes.size()) + " bytes";
  }
  if (const auto* list = value.If<loro::Value::List>()) {
    Json items = Json::array();
    for (const loro::Value& item : *list) items.push_back(ToJson(item));
    return items;
  }
  if (const auto* map = value.If<loro::Value::Map>()) {
    Json object = Json::object();
    for (const auto& [key, item] : *map) object[key] = ToJson(item);
    return object;
  }
  if (const auto* container = value.If<loro::ContainerId>()) return container->ToString();
  return nullptr;
}

void AppendPreview(const nlohmann::json& json, int depth, std::string* out) {
  if (json.is_string()) {
    *out += PreviewText(json.get_ref<const std::string&>());
    return;
  }
  if (!json.is_structured()) {
    *out += json.dump();
    return;
  }
  const bool is_object = json.is_object();
  out->push_back(is_object ? '{' : '[');
  bool is_first = true;
  for (auto item = json.begin(); item != json.end(); ++item) {
    if (!is_first) out->push_back(',');
    is_first = false;
    if (depth >= kPreviewDepth || out->size() >= kPreviewBytes) {
      *out += kCut;
      break;
    }
    if (is_object) *out += PreviewText(item.key()) + ":";
    AppendPreview(*item, depth + 1, out);
  }
  out->push_back(is_object ? '}' : ']');
}

}  // namespace

// --- Printing ---

std::string EscapeControls(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (size_t i = 0; i < json.size();) {
    const auto byte = static_cast<uint8_t>(json[i]);
    const uint32_t scalar = byte < 0x80 ? 0 : ShortScalar(json.substr(i));
    if (byte == 0x7F) {
      AppendEscape(byte, &out);
      ++i;
    } else if (scalar != 0 && ActsOnTerminal(scalar)) {
      AppendEscape(scalar, &out);
      i += scalar < 0x800 ? 2 : 3;
    } else {
      out.push_back(json[i]);
      ++i;
    }
  }
  return out;
}

std::string Printable(std::string_view text) {
  const bool is_utf8 = IsUtf8(text);
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || (byte >= 0x80 && !is_utf8)) {
      std::array<char, 8> hex{};
      std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(byte));
      escaped += hex.data();
    } else {
      escaped.push_back(c);
    }
  }
  return EscapeControls(escaped);
}

std::string PreviewText(std::string_view text) {
  const size_t shown = loro::BytesOfScalars(text, kPreviewScalars);
  std::string out;
  loro::AppendJsonString(text.substr(0, shown), &out);
  if (shown < text.size()) out += kCut;
  return EscapeControls(out);
}

std::string PreviewJson(const nlohmann::json& json) {
  std::string out;
  AppendPreview(json, 0, &out);
  return out;
}

std::string PreviewValue(const loro::Value& value) {
  if (const auto* container = value.If<loro::ContainerId>()) return PreviewContainer(*container);
  if (const auto* binary = value.If<loro::Value::Binary>()) {
    return Counted(binary->bytes.size(), "byte");
  }
  return PreviewJson(ToJson(value));
}

std::string PreviewContainer(const loro::ContainerId& container) {
  if (!container.is_root()) return container.ToString();
  const std::string_view name = container.name();
  const size_t shown = loro::BytesOfScalars(name, kPreviewScalars);
  std::string text = "cid:root-" + Printable(name.substr(0, shown));
  if (shown < name.size()) text += kCut;
  return text + ":" + loro::ContainerKindName(container.kind());
}

std::string Counted(uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string_view OpKindName(loro::OpKind kind) {
  switch (kind) {
    case loro::OpKind::kTextInsert:
      return "text insert";
    case loro::OpKind::kTextMarkStart:
      return "mark start";
    case loro::OpKind::kTextMarkEnd:
      return "mark end";
    case loro::OpKind::kListInsert:
      return "list insert";
    case loro::OpKind::kDelete:
      return "delete";
    case loro::OpKind::kMapSet:
      return "map set";
    case loro::OpKind::kMapDelete:
      return "map delete";
    case loro::OpKind::kMove:
      return "move";
    case loro::OpKind::kSet:
      return "set";
    case loro::OpKind::kTreeMove:
      return "tree move";
    case loro::OpKind::kCounterAdd:
      return "counter add";
    case loro::OpKind::kUnknown:
      break;
  }
  return "unknown";
}

std::string FormatTimestamp(int64_t unix_seconds) {
  constexpr int64_t kFirst = -62135596800;  // 0001-01-01
  constexpr int64_t kLast = 253402300799;   // 9999-12-31
  const std::time_t time = unix_seconds;
  std::tm parts{};
  if (unix_seconds < kFirst || unix_seconds > kLast || gmtime_r(&time, &parts) == nullptr) {
    return std::to_string(unix_seconds);
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02dZ",
                (parts.tm_year + 1900) % 10000, (parts.tm_mon + 1) % 100, parts.tm_mday % 100,
                parts.tm_hour % 100, parts.tm_min % 100, parts.tm_sec % 100);
  return text.data();
}

void TextTable::Print(std::ostream& out) const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max<size_t>(widths[i], loro::CountScalars(row[i]));
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - loro::CountScalars(row[i]), ' ');
      if (i > 0) line += "  ";
      line += i == 0 ? row[i] + padding : padding + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

// --- Reading ---

std::string InputName(const std::string& file) {
  return file == "-" ? "standard input" : Printable(file);
}

Result<Bytes> ReadDocFile(const std::string& file, DocIo& io) {
  std::ifstream opened;
  const bool is_stdin = file == "-";
  const std::string name = InputName(file);
  if (!is_stdin) {
    errno = 0;
    opened.open(file, std::ios::binary);
    if (!opened) return IoError(name + ": cannot be opened: " + std::strerror(errno));
  }
  std::istream& in = is_stdin ? io.in : opened;
  Bytes bytes;
  std::string buffer(kReadBytes, '\0');
  while (in) {
    errno = 0;
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    bytes.append(buffer, 0, static_cast<size_t>(in.gcount()));
    if (bytes.size() > kDocFileBytesMax) {
      return LimitReached(name + ": more than " + std::to_string(kDocFileBytesMax) + " bytes");
    }
  }
  // A directory opens, and fails here.
  if (in.bad() || (errno != 0 && bytes.empty())) {
    return IoError(name + ": cannot be read: " + std::strerror(errno));
  }
  return bytes;
}

Status WriteDocFile(const std::string& file, BytesView bytes, DocIo& io) {
  OutputFile output(file, io);
  MERROW_TRY(output.Write(bytes));
  return output.Finish();
}

int RunTool(DocIo& io, const std::function<Status()>& command) {
  Status status = command();
  io.out.flush();
  if (status.ok() && !io.out) status = IoError("standard output: cannot be written");
  if (status.ok()) return 0;
  io.err << "merrow: " << Printable(status.error().ToString()) << std::endl;
  return 1;
}

Status CheckInputs(const std::vector<std::string>& files) {
  if (std::count(files.begin(), files.end(), "-") > 1) {
    return InvalidArgument("standard input (-) can be read only once");
  }
  return {};
}

Error DocFile::Within(const Block& block, const Error& error) const {
  if (is_snapshot()) return error.Within(name + ": change block " + loro::ToString(block.first));
  return error.Within(name + ": change block at offset " + std::to_string(block.offset));
}

Result<loro::ChangeBlock> DocFile::Decode(const Block& block, uint64_t* ops) const {
  Result<loro::ChangeBlock> decoded = loro::DecodeChangeBlock(block.bytes);
  if (!decoded.ok()) return Within(block, decoded.error());
  *ops += decoded->ops.size();
  if (*ops <= ops_max) return decoded;
  return Within(block, LimitReached("more than " + std::to_string(ops_max) + " ops"));
}

namespace {

// Lengths of a snapshot's three sections, which DecodeSnapshot has checked.
Result<std::vector<size_t>> SectionBytes(BytesView body) {
  ByteReader reader(body);
  std::vector<size_t> lengths;
  while (!reader.empty()) {
    MERROW_ASSIGN(const uint32_t length, reader.U32Le());
    MERROW_TRY(reader.Take(length));
    lengths.push_back(length);
  }
  return lengths;
}

Status OpenSnapshot(BytesView body, DocFile* file) {
  MERROW_ASSIGN(file->parts, loro::DecodeSnapshot(body));
  MERROW_ASSIGN(file->section_bytes, SectionBytes(body));
  for (const auto& block : file->parts.blocks) {
    DocFile::Block opened;
    opened.bytes = block.bytes;
    opened.first = block.first;
    file->blocks.push_back(opened);
  }
  return {};
}

Status OpenUpdates(BytesView body, DocFile* file) {
  ByteReader reader(body);
  while (!reader.empty()) {
    MERROW_ASSIGN(const BytesView block, loro::ReadBlock(reader));
    DocFile::Block opened;
    opened.bytes = block;
    opened.offset = loro::kEnvelopeBytes + reader.offset() - block.size();
    file->blocks.push_back(opened);
  }
  return {};
}

Result<DocFile> OpenDocBytes(std::string name, Bytes bytes) {
  DocFile opened;
  opened.name = std::move(name);
  opened.bytes = std::make_shared<const Bytes>(std::move(bytes));
  const Result<loro::Envelope> envelope = loro::DecodeEnvelope(*opened.bytes);
  if (!envelope.ok()) return envelope.error().Within(opened.name + ": envelope at offset 0");
  opened.mode = envelope->mode;
  const Status status = opened.is_snapshot() ? OpenSnapshot(envelope->body, &opened)
                                             : OpenUpdates(envelope->body, &opened);
  for (const DocFile::Block& block : opened.blocks) opened.ops_max += block.bytes.size();
  if (!status.ok()) {
    return status.error().Within(opened.name + ": body at offset " +
                                 std::to_string(loro::kEnvelopeBytes));
  }
  return opened;
}

// What the import of `bytes` failed with, with the place of the damage if it is in the bytes and
// not in what their ops ask for.
Error Locate(std::string name, Bytes bytes, const Error& error) {
  const Result<DocFile> opened = OpenDocBytes(name, std::move(bytes));
  if (!opened.ok()) return opened.error();
  uint64_t ops = 0;
  for (const DocFile::Block& block : opened->blocks) {
    const Result<loro::ChangeBlock> decoded = opened->Decode(block, &ops);
    if (!decoded.ok()) return decoded.error();
  }
  return error.Within(name);
}

}  // namespace

Result<DocFile> OpenDocFile(const std::string& file, DocIo& io) {
  MERROW_ASSIGN(Bytes bytes, ReadDocFile(file, io));
  return OpenDocBytes(InputName(file), std::move(bytes));
}

Result<std::vector<loro::IdSpan>> ImportDocFiles(const std::vector<std::string>& files, DocIo& io,
                                                 loro::Document* doc) {
  MERROW_TRY(CheckInputs(files));
  std::vector<loro::IdSpan> parked;
  for (const std::string& file : files) {
    MERROW_ASSIGN(Bytes bytes, ReadDocFile(file, io));
    const Result<loro::ImportStatus> imported = doc->Import(bytes);
    if (!imported.ok()) return Locate(InputName(file), std::move(bytes), imported.error());
    parked.insert(parked.end(), imported->pending.begin(), imported->pending.end());
  }
  // Later files may have brought what earlier ones waited for.
  std::vector<loro::IdSpan> pending;
  std::sort(parked.begin(), parked.end());
  for (loro::IdSpan span : parked) {
    span.start = std::max(span.start, doc->version().End(span.peer));
    if (span.start >= span.end) continue;
    if (!pending.empty() && pending.back().peer == span.peer && pending.back().end >= span.start) {
      pending.back().end = std::max(pending.back().end, span.end);
    } else {
      pending.push_back(span);
    }
  }
  return pending;
}

std::string FormatSpans(const std::vector<loro::IdSpan>& spans) {
  std::string text;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) text += ", ";
    if (i == kSpansShown) return text + std::to_string(spans.size() - i) + " more spans";
    text += "[" + std::to_string(spans[i].start) + ", " + std::to_string(spans[i].end) +
            ") of peer " + std::to_string(spans[i].peer);
  }
  return text;
}

}  // namespace merrow::cli
