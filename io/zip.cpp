#include "io/zip.h"

#include <algorithm>
#include <optional>

#include "io/crc32.h"

namespace ar::io {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kEnd64Locator = 0x07064b50;
constexpr int64_t kEndSize = 22, kLocatorSize = 20;
constexpr uint32_t kMax32 = 0xffffffff;
constexpr uint16_t kMax16 = 0xffff, kZip64Extra = 1, kPaddingExtra = 0x4246;

/// Little-endian numbers one after another.
class Record {
 public:
  Record& u16(uint64_t v) { return put(v, 2); }
  Record& u32(uint64_t v) { return put(v, 4); }
  Record& u64(uint64_t v) { return put(v, 8); }
  Record& text(const std::string& t) {
    bytes_ += t;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& put(uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) bytes_ += char(v >> (8 * i));
    return *this;
  }
  std::string bytes_;
};

int64_t to_offset(const ByteSource& source, uint64_t v) {
  if (v > uint64_t(source.size())) source.error("is damaged or cut short: the zip archive names byte ", v);
  return int64_t(v);
}

struct Directory {
  int64_t begin, bytes;
};

/// The end record lies at the file's end, before a comment of up to 64 KB.
Directory find_directory(const ByteSource& source) {
  const int64_t tail = std::min<int64_t>(source.size(), kEndSize + kMax16);
  const std::string text = source.text(source.size() - tail, tail);
  const size_t found = text.rfind("PK\5\6");
  if (found == std::string::npos || int64_t(text.size() - found) < kEndSize)
    source.error("is damaged or cut short: the zip archive has no end");
  const int64_t at = source.size() - tail + int64_t(found);
  ByteStream end(source, at, source.size());
  end.take(12);
  uint64_t bytes = end.number(4), begin = end.number(4);
  if (bytes == kMax32 || begin == kMax32) {
    ByteStream locator(source, std::max<int64_t>(at - kLocatorSize, 0), at);
    if (locator.number(4) != kEnd64Locator) source.error("is damaged: the zip archive has no zip64 locator");
    locator.take(4);
    ByteStream end64(source, to_offset(source, locator.number(8)), source.size());
    if (end64.number(4) != kEnd64) source.error("is damaged: the zip archive has no zip64 end");
    end64.take(36);
    bytes = end64.number(8), begin = end64.number(8);
  }
  const Directory directory{to_offset(source, begin), to_offset(source, bytes)};
  source.check_range(directory.begin, directory.bytes);
  return directory;
}

}  // namespace

ZipReader::ZipReader(const ByteSource& source) : source_(source) {
  const Directory directory = find_directory(source);
  ByteStream in(source, directory.begin, directory.begin + directory.bytes);
  while (in.left() > 0) {
    if (in.number(4) != kCentralHeader) source.error("is damaged: a bad record in the zip archive's list of files");
    in.take(4);
    const uint64_t flags = in.number(2), method = in.number(2);
    in.take(12);
    uint64_t size = in.number(4);
    const auto name_bytes = int64_t(in.number(2)), extra_bytes = int64_t(in.number(2)),
               comment_bytes = int64_t(in.number(2));
    in.take(8);
    uint64_t header = in.number(4);
    const std::string name = in.take(name_bytes);
    const int64_t extra_end = in.position() + extra_bytes;
    source.check_range(in.position(), extra_bytes);
    ByteStream extra(source, in.position(), extra_end);
    in.take(extra_bytes), in.take(comment_bytes);
    while (extra.left() >= 4) {
      const uint64_t id = extra.number(2);
      const auto bytes = int64_t(extra.number(2));
      if (id != kZip64Extra) {
        extra.take(bytes);
        continue;
      }
      // It holds those numbers that did not fit: the size, the compressed size (the same here), the place.
      ByteStream large(source, extra.position(), std::min(extra.position() + bytes, extra_end));
      if (size == kMax32) size = large.number(8), large.take(8);
      if (header == kMax32) header = large.number(8);
      break;
    }
    entries_[name] = {to_offset(source, header), to_offset(source, size), method == 0 && (flags & 1) == 0};
  }
}

const ZipReader::Entry* ZipReader::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

int64_t ZipReader::data_offset(const std::string& name, const Entry& entry) const {
  if (!entry.stored) source_.error(name, " in the zip archive is compressed or encrypted, which PyTorch never does");
  ByteStream local(source_, entry.header, source_.size());
  if (local.number(4) != kLocalHeader) source_.error("is damaged: ", name, " in the zip archive has no header");
  local.take(22);
  const auto name_bytes = int64_t(local.number(2)), extra_bytes = int64_t(local.number(2));
  const int64_t offset = local.position() + name_bytes + extra_bytes;
  source_.check_range(offset, entry.size);
  return offset;
}

void ZipWriter::add(const std::string& name, const void* data, int64_t bytes, int64_t align) {
  const bool large = zip64_ || bytes >= kMax32;
  Record extra;
  if (large) extra.u16(kZip64Extra).u16(16).u64(uint64_t(bytes)).u64(uint64_t(bytes));
  const int64_t header = file_.position();
  const int64_t unpadded = header + 30 + int64_t(name.size() + extra.bytes().size()) + 4;
  if (align > 1) {
    const int64_t padding = (align - unpadded % align) % align;
    extra.u16(kPaddingExtra).u16(uint64_t(padding)).text(std::string(size_t(padding), 'Z'));
  }
  const uint32_t crc = crc32(data, bytes);
  const uint64_t size = large ? kMax32 : uint64_t(bytes);
  constexpr uint64_t kUtf8Names = 1 << 11, kNewYear1980 = 0x21;
  Record local;
  local.u32(kLocalHeader).u16(large ? 45 : 20).u16(kUtf8Names).u16(0).u16(0).u16(kNewYear1980).u32(crc);
  local.u32(size).u32(size).u16(name.size()).u16(extra.bytes().size()).text(name).text(extra.bytes());
  file_.write(local.bytes());
  file_.write(data, bytes);
  entries_.push_back({name, crc, bytes, header});
}

void ZipWriter::finish() {
  const int64_t begin = file_.position();
  for (const Entry& e : entries_) {
    const bool large = zip64_ || e.size >= kMax32, far = zip64_ || e.header >= kMax32;
    Record extra;
    if (large || far) extra.u16(kZip64Extra).u16((large ? 16 : 0) + (far ? 8 : 0));
    if (large) extra.u64(uint64_t(e.size)).u64(uint64_t(e.size));
    if (far) extra.u64(uint64_t(e.header));
    const uint64_t size = large ? kMax32 : uint64_t(e.size), version = large || far ? 45 : 20;
    Record central;
    central.u32(kCentralHeader).u16(version).u16(version).u16(1 << 11).u16(0).u16(0).u16(0x21).u32(e.crc);
    central.u32(size).u32(size).u16(e.name.size()).u16(extra.bytes().size()).u16(0).u16(0).u16(0).u32(0);
    central.u32(far ? kMax32 : uint64_t(e.header)).text(e.name).text(extra.bytes());
    file_.write(central.bytes());
  }
  const int64_t end = file_.position(), bytes = end - begin;
  const bool large = zip64_ || end >= kMax32 || entries_.size() >= kMax16;
  Record tail;
  if (large) {
    tail.u32(kEnd64).u64(44).u16(45).u16(45).u32(0).u32(0).u64(entries_.size()).u64(entries_.size());
    tail.u64(uint64_t(bytes)).u64(uint64_t(begin)).u32(kEnd64Locator).u32(0).u64(uint64_t(end)).u32(1);
  }
  const uint64_t count = large ? kMax16 : entries_.size();
  tail.u32(kEnd).u16(0).u16(0).u16(count).u16(count).u32(large ? kMax32 : uint64_t(bytes));
  tail.u32(large ? kMax32 : uint64_t(begin)).u16(0);
  file_.write(tail.bytes());
}

}  // namespace ar::io
