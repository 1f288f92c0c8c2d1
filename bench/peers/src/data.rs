// SPDX-License-Identifier: Apache-2.0
//
// What every engine of this program shares: reading the inputs that bench/engine.mjs prepared, a
// random generator, a hash of results, and the line that reports a measurement. The C++ side has
// the same in bench/engine_data.h; both must agree to the bit, so that results can be compared.
//
// Files, all integers u32 little endian:
//   NAME.trace  count, then per transaction: agent, parent count, parents, patch count, then per
//               patch: position, deleted, bytes of the inserted text, the text
//   NAME.blobs  count, then per blob: size, bytes

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub struct Patch {
    pub position: usize,
    pub deleted: usize,
    pub inserted: String,
}

pub struct Txn {
    pub agent: usize,
    pub parents: Vec<usize>,
    pub patches: Vec<Patch>,
}

struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    fn u32(&mut self) -> usize {
        let raw = self.bytes[self.at..self.at + 4].try_into().unwrap();
        self.at += 4;
        u32::from_le_bytes(raw) as usize
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.u32();
        self.at += length;
        self.bytes[self.at - length..self.at].to_vec()
    }
}

/// The folder with the inputs.
pub struct Data {
    pub folder: PathBuf,
}

impl Data {
    fn open(&self, name: &str) -> Reader {
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Reader { bytes, at: 0 }
    }

    pub fn trace(&self, name: &str) -> Vec<Txn> {
        let mut reader = self.open(&format!("{name}.trace"));
        let count = reader.u32();
        (0..count)
            .map(|_| Txn {
                agent: reader.u32(),
                parents: (0..reader.u32()).map(|_| reader.u32()).collect(),
                patches: (0..reader.u32())
                    .map(|_| Patch {
                        position: reader.u32(),
                        deleted: reader.u32(),
                        inserted: String::from_utf8(reader.bytes()).unwrap(),
                    })
                    .collect(),
            })
            .collect()
    }

    pub fn blobs(&self, name: &str) -> Vec<Vec<u8>> {
        let mut reader = self.open(&format!("{name}.blobs"));
        (0..reader.u32()).map(|_| reader.bytes()).collect()
    }

    pub fn blob(&self, name: &str) -> Vec<u8> {
        self.blobs(name).swap_remove(0)
    }

    pub fn write_blobs(&self, name: &str, blobs: &[Vec<u8>]) {
        let mut out = (blobs.len() as u32).to_le_bytes().to_vec();
        for blob in blobs {
            out.extend((blob.len() as u32).to_le_bytes());
            out.extend(blob);
        }
        std::fs::write(self.folder.join(format!("{name}.blobs")), out).unwrap();
    }
}

/// splitmix64
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 33) as usize % bound
    }
}

/// FNV-1a of what a workload ended with.
pub fn hash(text: &str) -> String {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    format!("{}:{hash:016x}", text.len())
}

/// What one run of one workload found out.
pub struct Report {
    /// Nanoseconds of each repetition (or bytes, in workloads about memory).
    pub samples: Vec<u128>,
    /// Operations in one repetition.
    pub operations: usize,
    /// Bytes that were written or read, if the workload is about any.
    pub bytes: usize,
    /// Of the result; equal for all engines.
    pub check: String,
}

impl Report {
    pub fn print(&self) {
        let samples: Vec<String> = self.samples.iter().map(u128::to_string).collect();
        println!(
            "{{\"samples\":[{}],\"operations\":{},\"bytes\":{},\"check\":\"{}\"}}",
            samples.join(","),
            self.operations,
            self.bytes,
            self.check
        );
    }
}

fn cpu_nanoseconds() -> u128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u128 * 1_000_000_000 + time.tv_nsec as u128
}

/// Runs `work` and gives what it returned along with the time it took; for what takes long the
/// processor time of this process, which other programs disturb less. What it made is dropped by
/// the caller, so that takes no part.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, u128) {
    const SHORT: u128 = 100_000;
    let cpu_start = cpu_nanoseconds();
    let start = Instant::now();
    let made = std::hint::black_box(work());
    let wall = start.elapsed().as_nanos();
    (made, if wall < SHORT { wall } else { cpu_nanoseconds() - cpu_start })
}

/// Runs `work` again and again, for a while, `run` times at least; nanoseconds of each.
pub fn repeated<T>(run: usize, mut work: impl FnMut() -> T) -> Vec<u128> {
    let mut samples = Vec::new();
    let begin = Instant::now();
    while samples.len() < run || begin.elapsed() < Duration::from_millis(50) {
        samples.push(timed(&mut work).1);
    }
    samples
}

/// Bytes that malloc has handed out, with its own overhead.
pub fn heap_bytes() -> usize {
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
