// SPDX-License-Identifier: Apache-2.0
//
// The engines that Merrow is measured against, by the same command line as bench/engine_workloads:
//
//   engine_peers generate DATA              write the blobs that workloads import
//   engine_peers ENGINE WORKLOAD DATA       measure once and print one line of JSON
//
// DATA is the folder that bench/engine.mjs prepares. ENGINE is loro, diamond-types, yrs or
// automerge. A workload that an engine does not have ends with status 3.

mod data;
mod gen;
mod loro_peer;
mod text_peers;

use data::{Data, Report};

fn measure(engine: &str, workload: &str, data: &Data) -> Option<Report> {
    match engine {
        "loro" => loro_peer::measure(workload, data),
        "diamond-types" => text_peers::diamond(workload, data),
        "yrs" => text_peers::yrs(workload, data),
        "automerge" => text_peers::automerge(workload, data),
        _ => None,
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["generate", folder] => gen::write_all(&Data { folder: folder.into() }),
        [engine, workload, folder] => match measure(engine, workload, &Data { folder: folder.into() }) {
            Some(report) => report.print(),
            None => {
                eprintln!("{engine} has no workload {workload}");
                std::process::exit(3);
            }
        },
        _ => {
            eprintln!("usage: engine_peers generate DATA | ENGINE WORKLOAD DATA");
            std::process::exit(2);
        }
    }
}
