// SPDX-License-Identifier: Apache-2.0
//
// The bytes of changesets, for encoder and decoder (docs/format.md, "changesets", has worked hex).
// DO NOT CHANGE: on the wire and in files.
//
//   frame      u8 flags | [u8 dictionary id x 4, little-endian] | [uleb raw size] | payload
//              | u32le xxh32 of all before
//   flags      high 4 bits: format version 1; the rest kFrame...
//   payload    changeset *                                     zstd as a whole if kFrameZstd
//
//   changeset  uleb header flags (kHeader...)
//              site | [version] | [previous] | timestamp | [part, parts] | [authors]
//              uleb group count | group *
//   site       uleb: 0 and 16 bytes: a new one; n: the n-th that was named in this context
//   version    uleb; not there if it is the site's last one in this context plus 1
//   previous   zigzag of (version - 1 - previous); not there if it is the site's last one
//   timestamp  zigzag milliseconds since the last one in this context | [uleb count]
//   authors    uleb count | site *                             besides the changeset's own
//
//   group      table | uleb row count | run *                  until the rows are through
//   table      uleb: 0 a new one, name, uleb key columns, columns
//                    2n - 1 the n-th of this context
//                    2n     the same, and further columns of it
//              The same name with another number of key columns is another table.
//   columns    uleb count | name *                             name: uleb length, UTF-8
//   run        uleb shape (kShape...) | [uleb length] | [column set] | row *
//              The length is there if more than one row is left; it says how many have this shape.
//   column set uleb bitmap of the context's columns of the table if there are at most 56, else
//              uleb count and uleb steps from the column before; not there if all of them
//   row        key values | [cl] | [sentinel clock] | per cell: [col_version] clock value
//   clock      [uleb (changeset's version - version)] | [uleb author] | [zigzag seq step]
//   document   key values | uleb length | change blocks
//
//   value      u8 tag and what follows (kValue...)
//
// What is in brackets is there if a flag says so. Expected, so that nothing needs to be written: cl
// 1, or 2 if deleted; col_version 1; seq one more than the one before, from 0; author the
// changeset's site; version the changeset's.
//
// A context is what encoder and decoder remember from frame to frame: sites and tables by number,
// each site's last version, the last timestamp. A file starts with an empty one; a link keeps one
// for each direction while it lives.
//
// Any change of what is above gets another kFrameVersion. Flags that are not known are refused as
// unsupported, as other versions are.

#pragma once

#include <cstddef>
#include <cstdint>

namespace merrow::changeset {

inline constexpr uint8_t kFrameVersion = 1;
inline constexpr unsigned kFrameVersionShift = 4;
inline constexpr uint8_t kFrameZstd = 0x01;
inline constexpr uint8_t kFrameDictionary = 0x02;  // only with kFrameZstd
inline constexpr uint8_t kFrameFirst = 0x04;       // of its stream: the context is empty
inline constexpr uint8_t kFrameFlagsMask = 0x07;

inline constexpr uint32_t kHeaderVersion = 0x01;   // the version is written
inline constexpr uint32_t kHeaderPrevious = 0x02;  // the previous version is written
inline constexpr uint32_t kHeaderCount = 0x04;     // the timestamp has a count
inline constexpr uint32_t kHeaderParts = 0x08;
inline constexpr uint32_t kHeaderAuthors = 0x10;
inline constexpr uint32_t kHeaderContinues = 0x20;  // Changeset::continues
inline constexpr uint32_t kHeaderFlagsMask = 0x3F;

inline constexpr uint32_t kShapeKindMask = 0x03;
inline constexpr uint32_t kShapeAllColumns = 0;  // alive, a cell for each column of the table
inline constexpr uint32_t kShapeColumns = 1;     // alive, cells of a column set
inline constexpr uint32_t kShapeDeleted = 2;
inline constexpr uint32_t kShapeDocument = 3;     // alone
inline constexpr uint32_t kShapeCl = 0x04;        // cl is written
inline constexpr uint32_t kShapeVersions = 0x08;  // each cell's col_version is written
inline constexpr uint32_t kShapeSeqs = 0x10;      // each clock's seq is written
inline constexpr uint32_t kShapeSentinel = 0x20;  // an alive row has a sentinel
inline constexpr uint32_t kShapeRange = 0x40;     // each clock's db version is written
inline constexpr uint32_t kShapeAuthors = 0x80;   // each clock's author is written
inline constexpr uint32_t kShapeFlagsMask = 0xFF;

inline constexpr size_t kBitmapColumnsMax = 56;

inline constexpr uint8_t kValueNull = 0x00;
inline constexpr uint8_t kValueReal = 0x01;      // 8 bytes, little-endian
inline constexpr uint8_t kValueLongText = 0x02;  // uleb length, bytes
inline constexpr uint8_t kValueLongBlob = 0x03;
inline constexpr uint8_t kValueInteger = 0x07;  // + n: n bytes (1 to 8), little-endian, signed
inline constexpr uint8_t kValueSmall = 0x10;    // + n: the integer n - 1, for n below 48
inline constexpr uint8_t kValueText = 0x40;     // + n: n bytes of text, for n below 128
inline constexpr uint8_t kValueBlob = 0xC0;     // + n: n bytes, for n below 64
inline constexpr int64_t kSmallMin = -1;
inline constexpr int64_t kSmallEnd = 47;
inline constexpr size_t kShortTextEnd = 128;
inline constexpr size_t kShortBlobEnd = 64;

/// Limits of one frame, for readers and writers: its payload, compressed or not, and what that may
/// decode to, because a byte can stand for a cell, and four for a changeset.
inline constexpr size_t kFramePayloadMax = size_t{16} << 20;
inline constexpr size_t kFrameRowsMax = size_t{1} << 18;  // and changesets, together
inline constexpr size_t kFrameCellsMax = size_t{1} << 20;
/// Tables, columns and authors of all changesets of a frame, each as its bytes and kNameOverhead: a
/// few bytes name what a context knows.
inline constexpr size_t kFrameNamesMax = size_t{32} << 20;
inline constexpr size_t kNameOverhead = 32;
/// zstd never makes more out of a byte: it takes at least four for a block of 128 KiB.
inline constexpr size_t kZstdRatioMax = 32 * 1024;
/// Names of one context, so that a peer cannot make it grow for ever.
inline constexpr size_t kContextSitesMax = size_t{1} << 20;
inline constexpr size_t kContextTablesMax = size_t{1} << 16;
/// Of all tables and columns, each as its bytes and kNameOverhead.
inline constexpr size_t kContextNamesMax = size_t{64} << 20;
inline constexpr size_t kTableColumnsMax = 2000;  // SQLite's default limit
inline constexpr size_t kNameBytesMax = 1024;
inline constexpr uint32_t kPartsMax = 1U << 20;

}  // namespace merrow::changeset
