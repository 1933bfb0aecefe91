#include "io/image_header.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>
#include <string_view>

#include "io/bytes.h"
#include "io/crc32.h"
#include "io/exif.h"

namespace ar::io {
namespace {

// ---- JPEG: ITU T.81, annex B ----------------------------------------------------------------------------------------

void read_jpeg(const Bytes& in, ImageHeader& header) {
  uint32_t components = 0;
  bool scanned = false, jfif = false, adobe = false, no_transform = false, names_rgb = false;
  size_t at = 2;
  for (;;) {
    // To the next marker: FF and then neither 0 (a stuffed byte), nor FF (fill), nor a restart.
    for (;;) {
      const void* found = at < in.size() ? std::memchr(in.data() + at, 0xff, in.size() - at) : nullptr;
      if (!found) throw TooShort();
      at = size_t(static_cast<const uint8_t*>(found) - in.data()) + 1;
      const uint32_t code = in.u8(at);
      if (code != 0 && code != 0xff && (code < 0xd0 || code > 0xd7)) break;
    }
    const uint32_t marker = in.u8(at++);
    if (marker == 0xd9) break;                       // end of image
    if (marker == 0xd8 || marker == 0x01) continue;  // without a length
    const size_t length = in.be16(at), body = at + 2;
    if (length < 2 || !in.has(at, length)) throw TooShort();
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame && header.width == 0) {
      header.height = in.be16(body + 1);
      header.width = in.be16(body + 3);
      components = in.u8(body + 5);
      names_rgb = components == 3 && in.u8(body + 6) == 'R' && in.u8(body + 9) == 'G' && in.u8(body + 12) == 'B';
      AR_CHECK(header.width > 0 && header.height > 0, "its header says ", header.width, "x", header.height, " pixels");
    } else if (marker == 0xda) {
      scanned = true;
    } else if (marker == 0xe0 && in.starts(body, std::string_view("JFIF\0", 5))) {
      jfif = true;
    } else if (marker == 0xee && length >= 14 && in.starts(body, "Adobe")) {
      adobe = true;
      no_transform = in.u8(body + 11) == 0;
    } else if (marker == 0xe1 && in.starts(body, std::string_view("Exif\0\0", 6))) {
      header.orientation = exif_orientation(in.part(body, length - 2));
    }
    at += length;
  }
  AR_CHECK(scanned && header.width > 0, "holds no picture");
  // As libjpeg: JFIF has no RGB, Adobe's marker says what it is, and without either the components' names do.
  header.rgb = components == 3 && !jfif && (adobe ? no_transform : names_rgb);
  header.cmyk = components == 4 && (no_transform || !adobe);
}

// ---- PNG: W3C PNG, third edition, section 5 -------------------------------------------------------------------------

void read_png(const Bytes& in, ImageHeader& header) {
  header.plain = true;
  size_t colours = 0;  // that a pixel of a palette picture may name
  for (size_t at = 8;;) {
    const size_t length = in.be32(at);
    if (!in.has(at, 12) || !in.has(at + 12, length)) throw TooShort();
    if (in.starts(at + 4, "IHDR") && length >= 10) {
      header.width = in.be32(at + 8);
      header.height = in.be32(at + 12);
      header.transparent = (in.u8(at + 17) & 4) != 0;
      if (in.u8(at + 17) == 3) colours = size_t{1} << std::min(in.u8(at + 16), 8u);
    } else if (in.starts(at + 4, "PLTE")) {
      header.plain = length >= 3 * colours;
    } else if (in.starts(at + 4, "tRNS")) {
      header.transparent = true;
    } else if (in.starts(at + 4, "eXIf")) {
      header.orientation = exif_orientation(in.part(at + 8, length));
    } else if (in.starts(at + 4, "IEND")) {
      break;
    } else if (!in.starts(at + 4, "IDAT")) {
      // A capital letter: whoever does not know this chunk cannot show the picture.
      AR_CHECK(in.u8(at + 4) & 0x20, "holds an unknown critical chunk");
    }
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  // a fuzzer does not guess checksums
    // stb_image checks no sums. In chunks that a picture can do without, with a small letter, damage does no harm.
    AR_CHECK((in.u8(at + 4) & 0x20) || crc32(in.data() + at + 4, int64_t(length) + 4) == in.be32(at + 8 + length),
             "the checksum of a chunk is wrong");
#endif
    at += 12 + length;
  }
  AR_CHECK(header.width > 0 && header.height > 0, "its header says ", header.width, "x", header.height, " pixels");
}

// ---- WebP: RFC 9649, section 2 --------------------------------------------------------------------------------------

void read_webp(const Bytes& in, ImageHeader& header) {
  const size_t end = 8 + size_t{in.le32(4)};
  if (!in.has(0, end)) throw TooShort();
  for (size_t at = 12; at + 8 <= end;) {
    const size_t length = in.le32(at + 4), body = at + 8;
    if (!in.has(body, length)) throw TooShort();
    if (in.starts(at, "VP8X")) {
      header.width = in.le24(body + 4) + 1;
      header.height = in.le24(body + 7) + 1;
    } else if (in.starts(at, "VP8 ") && header.width == 0) {
      header.width = in.le16(body + 6) & 0x3fff;
      header.height = in.le16(body + 8) & 0x3fff;
    } else if (in.starts(at, "VP8L") && header.width == 0) {
      const uint32_t bits = in.le32(body + 1);
      header.width = (bits & 0x3fff) + 1;
      header.height = (bits >> 14 & 0x3fff) + 1;
    } else if (in.starts(at, "ANMF") && header.frame == 0) {
      header.frame = at;
    } else if (in.starts(at, "EXIF")) {
      header.orientation = exif_orientation(in.part(body, length));
    }
    at = body + length + (length & 1);
  }
  AR_CHECK(header.width > 0 && header.height > 0, "holds no picture");
}

// ---- GIF89a, sections 18 to 27 --------------------------------------------------------------------------------------

void read_gif(const Bytes& in, ImageHeader& header) {
  header.width = in.le16(6);
  header.height = in.le16(8);
  const auto table = [&](uint32_t flags) { return flags & 0x80 ? size_t{3} << ((flags & 7) + 1) : size_t{0}; };
  const auto skip_blocks = [&](size_t at) {
    while (in.u8(at) != 0) at += 1 + in.u8(at);
    return at + 1;
  };
  size_t at = 13 + table(in.u8(10));
  while (in.u8(at) == 0x21) at = skip_blocks(at + 2);  // extensions
  AR_CHECK(in.u8(at) == 0x2c, "holds no picture");
  header.width = std::max<int64_t>(header.width, in.le16(at + 1) + in.le16(at + 5));
  header.height = std::max<int64_t>(header.height, in.le16(at + 3) + in.le16(at + 7));
  skip_blocks(at + 10 + table(in.u8(at + 9)) + 1);  // the first picture is all there
}

void read_bmp(const Bytes& in, ImageHeader& header) {
  const size_t pixels = in.le32(10);
  const bool core = in.le32(14) == 12;  // the header of OS/2 1
  header.width = core ? in.le16(18) : int32_t(in.le32(18));
  header.height = core ? in.le16(20) : std::abs(int64_t{int32_t(in.le32(22))});
  const uint32_t bits = core ? in.le16(24) : in.le16(28), compression = core ? 0 : in.le32(30);
  AR_CHECK(header.width > 0 && header.height > 0, "its header says ", header.width, "x", header.height, " pixels");
  header.plain = compression == 0 || compression == 3;
  if (!header.plain) return;
  AR_CHECK(bits <= 32, "its header says ", bits, " bits a pixel");
  const size_t row = (size_t(header.width) * bits + 31) / 32 * 4;
  if (row > in.size() || !in.has(pixels, row * size_t(header.height))) throw TooShort();
}

/// TIFF 6.0, section 2: the first directory.
void read_tiff(const Bytes& in, ImageHeader& header) {
  const bool big = in.starts(0, "MM");
  const size_t directory = in.number(4, 4, big);
  struct Array {
    size_t entry;
    uint32_t count, width;
  } offsets{}, lengths{};
  for (uint32_t i = 0, entries = in.number(directory, 2, big); i < entries; ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;
    const uint32_t tag = in.number(entry, 2, big), type = in.number(entry + 2, 2, big);
    const uint32_t count = in.number(entry + 4, 4, big), width = type == 3 ? 2 : 4;
    const uint32_t value = in.number(entry + 8, int(width), big);
    if (tag == 256) header.width = value;
    if (tag == 257) header.height = value;
    // libavcodec leaves both black, and says nothing.
    if (tag == 259 && (value == 6 || value == 7)) header.unsupported = "compressed as JPEG";
    if (tag == 322 || tag == 324) header.unsupported = "in tiles";
    if (tag == 273 || tag == 324) offsets = {entry, count, width};  // of strips, of tiles
    if (tag == 279 || tag == 325) lengths = {entry, count, width};
  }
  // The pixels are all there.
  const auto item = [&](const Array& array, uint32_t i) {
    const size_t at = array.count * array.width <= 4 ? array.entry + 8 : in.number(array.entry + 8, 4, big);
    return size_t{in.number(at + size_t{array.width} * i, int(array.width), big)};
  };
  for (uint32_t i = 0; i < std::min(offsets.count, lengths.count); ++i)
    if (!in.has(item(offsets, i), item(lengths, i))) throw TooShort();
  header.orientation = exif_orientation(in.part(0, in.size()));
}

/// The contents of the first ISO box of a name, wherever it is nested, in the first 64 KiB; empty if there is none.
Bytes find_box(const Bytes& in, std::string_view name) {
  const std::span<const uint8_t> head = in.part(0, 65536);
  const auto found = std::search(head.begin(), head.end(), name.begin(), name.end());
  return Bytes(found == head.end() ? std::span<const uint8_t>()
                                   : std::span<const uint8_t>(found + ptrdiff_t(name.size()), head.end()));
}

/// ISO/IEC 23008-12: ispe holds the size, irot and imir turn and then mirror the picture.
void read_avif(const Bytes& in, ImageHeader& header) {
  if (const Bytes size = find_box(in, "ispe"); size.has(0, 12)) {
    header.width = size.be32(4);
    header.height = size.be32(8);
  }
  const Bytes rotation = find_box(in, "irot"), mirror = find_box(in, "imir");
  const int quarters = rotation.has(0, 1) ? int(rotation.u8(0) & 3) : 0;  // counter-clockwise
  const int axis = mirror.has(0, 1) ? int(mirror.u8(0) & 1) : -1;         // 0: top and bottom change places
  constexpr int kOrientation[3][4] = {{1, 8, 3, 6}, {4, 5, 2, 7}, {2, 7, 4, 5}};
  header.orientation = kOrientation[axis + 1][quarters];
  // The alpha item refers, as an auxiliary one, to the item that is shown.
  const Bytes urn = find_box(in, ":auxiliary:alpha"), reference = find_box(in, "auxl"), shown = find_box(in, "pitm");
  if (urn.size() == 0 || !reference.has(0, 2) || !shown.has(0, 6)) return;
  const Bytes references = find_box(in, "iref");
  if (!references.has(0, 1) || references.u8(0) != 0 || shown.u8(0) != 0) {
    header.unsupported = "with long item numbers";
    return;
  }
  header.alpha = size_t(reference.data() - in.data());
  header.primary = size_t(shown.data() - in.data()) + 4;
}

void read_jpeg2000(const Bytes& in, ImageHeader& header) {
  if (const Bytes size = find_box(in, "ihdr"); size.has(0, 8)) {
    header.height = size.be32(0);
    header.width = size.be32(4);
  }
}

/// Netpbm: the kind, the width and the height in ASCII, then the rest; comments run from # to the end of the line.
void read_pnm(const Bytes& in, ImageHeader& header) {
  size_t at = 2;
  const auto number = [&] {
    while (in.u8(at) == '#' || std::isspace(int(in.u8(at)))) {
      if (in.u8(at++) == '#')
        while (in.u8(at) != '\n') ++at;
    }
    int64_t value = 0;
    for (; std::isdigit(int(in.u8(at))) && value < 1'000'000'000; ++at) value = 10 * value + in.u8(at) - '0';
    return value;
  };
  header.width = number();
  header.height = number();
  AR_CHECK(header.width > 0 && header.height > 0, "its header says ", header.width, "x", header.height, " pixels");
}

// ---- which format is it? --------------------------------------------------------------------------------------------

/// What a file that is no picture seems to be, for people who wonder what they downloaded.
std::string describe(const Bytes& in) {
  constexpr struct {
    std::string_view magic;
    size_t at;
    const char* name;
  } kKnown[] = {{"%PDF", 0, "PDF document"},
                {"PK\3\4", 0, "ZIP archive"},
                {"\x1f\x8b", 0, "gzip archive"},
                {"ftyphei", 4, "HEIC picture, which is not supported; convert it to JPEG"},
                {"ftypmif1", 4, "HEIF picture, which is not supported; convert it to JPEG"},
                {"JXL ", 4, "JPEG XL picture, which is not supported; convert it to JPEG"},
                {"\xff\x0a", 0, "JPEG XL picture, which is not supported; convert it to JPEG"},
                {"ftyp", 4, "video in an MP4 container"},
                {"\x1a\x45\xdf\xa3", 0, "video in a WebM or Matroska container"},
                {"8BPS", 0, "Photoshop document"},
                {"AVI ", 8, "video in an AVI container"},
                {"WAVE", 8, "sound file"},
                {"\x7f"
                 "ELF",
                 0, "program"},
                {"version https://git-lfs", 0, "pointer of Git LFS; the file itself was not downloaded"}};
  for (const auto& known : kKnown)
    if (in.starts(known.at, known.magic)) return known.name;
  std::string text;
  for (const uint8_t byte : in.part(0, 512)) text += char(std::tolower(byte));
  if (text.find_first_not_of('\0') == std::string::npos) return "nothing but zeros";
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  text.erase(0, std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  if (text.find("<html") != std::string::npos || text.starts_with("<!doctype html")) return "HTML page";
  if (text.find("<svg") != std::string::npos) return "SVG drawing, which is not supported";
  if (text.starts_with("<?xml")) return "XML document";
  if (text.starts_with("{") || text.starts_with("[")) return "JSON text";
  const bool plain = std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 9) || c == 127; });
  return plain ? "text" : "unknown data";
}

ImageFormat recognise(const Bytes& in) {
  constexpr struct {
    std::string_view magic;
    ImageFormat format;
  } kMagic[] = {{"\xff\xd8\xff", ImageFormat::Jpeg},
                {"\x89PNG\r\n\x1a\n", ImageFormat::Png},
                {"GIF87a", ImageFormat::Gif},
                {"GIF89a", ImageFormat::Gif},
                {{"II*\0", 4}, ImageFormat::Tiff},
                {{"MM\0*", 4}, ImageFormat::Tiff},
                {{"\0\0\0\x0cjP  \r\n\x87\n", 12}, ImageFormat::Jpeg2000},
                {"\xff\x4f\xff\x51", ImageFormat::Jpeg2000}};
  for (const auto& known : kMagic)
    if (in.starts(0, known.magic)) return known.format;
  if (in.starts(0, "RIFF") && in.starts(8, "WEBP")) return ImageFormat::WebP;
  if (in.starts(4, "ftyp")) {
    // The brands of an AVIF file may come in any order, behind a more general one.
    const std::span<const uint8_t> brands = in.part(8, in.be32(0) < 8 ? 0 : std::min(in.be32(0) - 8, 256u));
    for (size_t i = 0; i + 4 <= brands.size(); i += 4)
      if (Bytes(brands).starts(i, "avif")) return ImageFormat::Avif;
  }
  if (in.starts(0, "BM") && in.has(0, 26) && in.le32(14) >= 12 && in.le32(14) <= 124) return ImageFormat::Bmp;
  if (in.has(0, 3) && in.u8(0) == 'P' && std::isspace(int(in.u8(2)))) {
    if (in.u8(1) == '1' || in.u8(1) == '4') return ImageFormat::Pbm;
    if (in.u8(1) == '2' || in.u8(1) == '5') return ImageFormat::Pgm;
    if (in.u8(1) == '3' || in.u8(1) == '6') return ImageFormat::Ppm;
  }
  fail("not an image (", describe(in), ")");
}

}  // namespace

const char* name_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::Jpeg:
      return "JPEG";
    case ImageFormat::Png:
      return "PNG";
    case ImageFormat::WebP:
      return "WebP";
    case ImageFormat::Gif:
      return "GIF";
    case ImageFormat::Bmp:
      return "BMP";
    case ImageFormat::Tiff:
      return "TIFF";
    case ImageFormat::Avif:
      return "AVIF";
    case ImageFormat::Jpeg2000:
      return "JPEG 2000";
    case ImageFormat::Pbm:
      return "PBM";
    case ImageFormat::Pgm:
      return "PGM";
    case ImageFormat::Ppm:
      return "PPM";
  }
  return "image";
}

ImageHeader read_image_header(std::span<const uint8_t> bytes, int64_t max_pixels) {
  AR_CHECK(!bytes.empty(), "empty file");
  const Bytes in(bytes);
  ImageHeader header{.format = recognise(in)};
  std::string trouble;
  try {
    switch (header.format) {
      case ImageFormat::Jpeg:
        read_jpeg(in, header);
        break;
      case ImageFormat::Png:
        read_png(in, header);
        break;
      case ImageFormat::WebP:
        read_webp(in, header);
        break;
      case ImageFormat::Gif:
        read_gif(in, header);
        break;
      case ImageFormat::Bmp:
        read_bmp(in, header);
        break;
      case ImageFormat::Tiff:
        read_tiff(in, header);
        break;
      case ImageFormat::Avif:
        read_avif(in, header);
        break;
      case ImageFormat::Jpeg2000:
        read_jpeg2000(in, header);
        break;
      case ImageFormat::Pbm:
      case ImageFormat::Pgm:
      case ImageFormat::Ppm:
        read_pnm(in, header);
        break;
    }
  } catch (const TooShort&) {
    trouble = std::string("truncated ") + name_of(header.format);
  } catch (const Error& error) {
    trouble = std::string("broken ") + name_of(header.format) + ": " + error.what();
  }
  // Size first: a forged header is worth knowing about even if there is nothing behind it.
  AR_CHECK(header.width <= 0 || header.height <= max_pixels / header.width, header.width, "x", header.height,
           " pixels, more than the limit of ", max_pixels);
  AR_CHECK(trouble.empty(), trouble);
  return header;
}

}  // namespace ar::io
