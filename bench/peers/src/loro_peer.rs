// SPDX-License-Identifier: Apache-2.0
//
// The workloads with native Loro. bench/engine_*.cc does the same with Merrow.

use crate::data::{hash, heap_bytes, repeated, timed, Data, Random, Report};
use crate::gen::{apply, fill_map, fill_movable, fill_tree, LIST_MOVES, MAP_OPS, TREE_MOVES};
use loro::{ExportMode, LoroDoc, ToJson, VersionVector};

fn doc(peer: u64) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.set_peer_id(peer).unwrap();
    doc
}

fn imported(blob: &[u8]) -> LoroDoc {
    let doc = doc(9);
    doc.import(blob).unwrap();
    doc
}

fn text_hash(doc: &LoroDoc) -> String {
    hash(&doc.get_text("text").to_string())
}

/// Keys sorted.
fn json_hash(doc: &LoroDoc) -> String {
    hash(&doc.get_deep_value().to_json_value().to_string())
}

fn replay(data: &Data, commit_each: bool) -> Report {
    let txns = data.trace("automerge-paper");
    let (doc, time) = timed(|| {
        let doc = doc(1);
        let text = doc.get_text("text");
        for txn in &txns {
            apply(&text, txn);
            if commit_each {
                doc.commit();
            }
        }
        doc.commit();
        doc
    });
    Report { samples: vec![time], operations: txns.len(), bytes: 0, check: text_hash(&doc) }
}

fn import(blob: Vec<u8>, operations: usize, check: impl Fn(&LoroDoc) -> String) -> Report {
    let (doc, time) = timed(|| imported(&blob));
    Report { samples: vec![time], operations, bytes: blob.len(), check: check(&doc) }
}

fn import_and_read(blob: Vec<u8>) -> Report {
    let ((_doc, text), time) = timed(|| {
        let doc = imported(&blob);
        let text = doc.get_text("text").to_string();
        (doc, text)
    });
    Report { samples: vec![time], operations: 1, bytes: blob.len(), check: hash(&text) }
}

fn export(blob: Vec<u8>, mode: ExportMode<'_>, check: impl Fn(&LoroDoc) -> String) -> Report {
    let doc = imported(&blob);
    let (bytes, time) = timed(|| doc.export(mode).unwrap());
    Report { samples: vec![time], operations: 1, bytes: bytes.len(), check: check(&imported(&bytes)) }
}

/// A snapshot after one more edit of a document that was exported before.
fn export_again(blob: Vec<u8>) -> Report {
    let doc = imported(&blob);
    doc.export(ExportMode::Snapshot).unwrap();
    let mut bytes = Vec::new();
    let mut samples = Vec::new();
    for at in 0..20 {
        doc.get_map("extra").insert("edit", at).unwrap();
        doc.commit();
        let (made, time) = timed(|| doc.export(ExportMode::Snapshot).unwrap());
        samples.push(time);
        bytes = made;
    }
    Report { samples, operations: 1, bytes: bytes.len(), check: json_hash(&imported(&bytes)) }
}

fn one_by_one(data: &Data) -> Report {
    let blobs = data.blobs("friendsforever.txns");
    let (doc, time) = timed(|| {
        let doc = doc(9);
        for blob in &blobs {
            doc.import(blob).unwrap();
        }
        doc
    });
    Report { samples: vec![time], operations: blobs.len(), bytes: 0, check: text_hash(&doc) }
}

/// The time of one import; of pairs, that of the second, which does not know the first.
fn small_updates(data: &Data, name: &str, shape: &str) -> Report {
    let doc = imported(&data.blob(&format!("{name}.base")));
    // What is loaded lazily is loaded now, as in a document that is in use.
    doc.get_deep_value();
    let blobs = data.blobs(&format!("{name}.{shape}"));
    let mut samples = Vec::new();
    for (at, blob) in blobs.iter().enumerate() {
        let (_, time) = timed(|| doc.import(blob).unwrap());
        if shape == "linear" || at % 2 == 1 {
            samples.push(time);
        }
    }
    Report { samples, operations: 1, bytes: blobs[0].len(), check: json_hash(&doc) }
}

fn export_behind(data: &Data, name: &str, behind: usize) -> Report {
    let doc = imported(&data.blob(&format!("{name}.base")));
    let receiver = imported(&data.blob(&format!("{name}.base")));
    let blobs = data.blobs(&format!("{name}.linear"));
    for (at, blob) in blobs.iter().enumerate() {
        doc.import(blob).unwrap();
        if at + behind < blobs.len() {
            receiver.import(blob).unwrap();
        }
    }
    let from: VersionVector = receiver.oplog_vv();
    let samples = repeated(100, || doc.export(ExportMode::updates(&from)).unwrap());
    let bytes = doc.export(ExportMode::updates(&from)).unwrap();
    receiver.import(&bytes).unwrap();
    assert_eq!(receiver.oplog_vv(), doc.oplog_vv());
    Report { samples, operations: 1, bytes: bytes.len(), check: json_hash(&receiver) }
}

fn json(blob: Vec<u8>) -> Report {
    let doc = imported(&blob);
    let samples = repeated(5, || doc.get_deep_value().to_json());
    Report { samples, operations: 1, bytes: doc.get_deep_value().to_json().len(), check: json_hash(&doc) }
}

fn map_sets(ops: usize) -> Report {
    let (doc, time) = timed(|| {
        let doc = doc(1);
        fill_map(&doc.get_map("map"), ops, || doc.commit());
        doc.commit();
        doc
    });
    Report { samples: vec![time], operations: ops, bytes: 0, check: json_hash(&doc) }
}

fn tree_moves() -> Report {
    let ((doc, refused), time) = timed(|| {
        let doc = doc(1);
        let refused = fill_tree(&doc.get_tree("tree"), || doc.commit());
        (doc, refused)
    });
    let check = format!("{refused} refused, {}", json_hash(&doc));
    Report { samples: vec![time], operations: TREE_MOVES, bytes: 0, check }
}

fn list_moves() -> Report {
    let (doc, time) = timed(|| {
        let doc = doc(1);
        fill_movable(&doc.get_movable_list("list"), || doc.commit());
        doc
    });
    Report { samples: vec![time], operations: LIST_MOVES, bytes: 0, check: json_hash(&doc) }
}

fn typing(characters: usize) -> Report {
    let (doc, time) = timed(|| {
        let doc = doc(1);
        let text = doc.get_text("text");
        for at in 0..characters {
            text.insert(at, "x").unwrap();
            doc.commit();
        }
        doc
    });
    Report { samples: vec![time], operations: characters, bytes: 0, check: text_hash(&doc) }
}

fn random_inserts(characters: usize) -> Report {
    let (doc, time) = timed(|| {
        let doc = doc(1);
        let text = doc.get_text("text");
        let mut random = Random(3);
        for length in 0..characters {
            text.insert(random.below(length + 1), "x").unwrap();
            doc.commit();
        }
        doc
    });
    Report { samples: vec![time], operations: characters, bytes: 0, check: text_hash(&doc) }
}

/// Bytes of memory per document at rest.
fn memory(blob: Vec<u8>) -> Report {
    const ROWS: usize = 2000;
    let mut docs = Vec::with_capacity(ROWS);
    docs.push(imported(&blob));
    let before = heap_bytes();
    for _ in 1..ROWS {
        docs.push(imported(&blob));
    }
    let bytes = (heap_bytes() - before) / (ROWS - 1);
    Report { samples: vec![bytes as u128], operations: 1, bytes, check: json_hash(&docs[ROWS / 2]) }
}

pub fn measure(workload: &str, data: &Data) -> Option<Report> {
    let size = |prefix: &str| workload.strip_prefix(prefix).map(|size| size.parse::<usize>().unwrap());
    if let Some(characters) = size("growth-typing-") {
        return Some(typing(characters));
    }
    if let Some(characters) = size("growth-random-") {
        return Some(random_inserts(characters));
    }
    if let Some(characters) = size("growth-concurrent-") {
        let blob = data.blob(&format!("concurrent-{characters}.updates"));
        return Some(import(blob, characters, text_hash));
    }
    if let Some(ops) = size("growth-map-") {
        return Some(map_sets(ops));
    }
    Some(match workload {
        "replay-commit-each" => replay(data, true),
        "replay-commit-once" => replay(data, false),
        "paper-import-updates" => import(data.blob("automerge-paper.updates"), 1, text_hash),
        "paper-load" => import(data.blob("automerge-paper.snapshot"), 1, text_hash),
        "paper-load-read" => import_and_read(data.blob("automerge-paper.snapshot")),
        "paper-import-snapshot" => import_and_read(data.blob("automerge-paper.snapshot")),
        "paper-export-updates" => export(data.blob("automerge-paper.updates"), ExportMode::all_updates(), text_hash),
        "paper-export-snapshot" => export(data.blob("automerge-paper.updates"), ExportMode::Snapshot, text_hash),
        "paper-export-snapshot-again" => export_again(data.blob("automerge-paper.updates")),
        "friends-export" => export(data.blob("friendsforever.updates"), ExportMode::all_updates(), text_hash),
        "friends-import" => import(data.blob("friendsforever.updates"), 1, text_hash),
        "friends-one-by-one" => one_by_one(data),
        "row-linear" => small_updates(data, "row", "linear"),
        "row-concurrent" => small_updates(data, "row", "concurrent"),
        "board-linear" => small_updates(data, "board", "linear"),
        "board-concurrent" => small_updates(data, "board", "concurrent"),
        "text-linear" => small_updates(data, "text", "linear"),
        "text-concurrent" => small_updates(data, "text", "concurrent"),
        "row-export-1" => export_behind(data, "row", 1),
        "row-export-350" => export_behind(data, "row", 350),
        "board-export-1" => export_behind(data, "board", 1),
        "board-export-350" => export_behind(data, "board", 350),
        "text-export-1" => export_behind(data, "text", 1),
        "text-export-350" => export_behind(data, "text", 350),
        "row-export-snapshot" => export_again(data.blob("row.base")),
        "board-export-snapshot" => export(data.blob("board.base"), ExportMode::Snapshot, json_hash),
        "board-export-snapshot-again" => export_again(data.blob("board.base")),
        "board-json" => json(data.blob("board.base")),
        "deep-json" => json(data.blob("deep.updates")),
        "map-sets" => map_sets(MAP_OPS),
        "map-import" => import(data.blob("map.updates"), MAP_OPS, json_hash),
        "tree-moves" => tree_moves(),
        "tree-import" => import(data.blob("tree.updates"), TREE_MOVES, json_hash),
        "movable-moves" => list_moves(),
        "movable-import" => import(data.blob("movable.updates"), LIST_MOVES, json_hash),
        "memory-row-5" => memory(data.blob("row.snapshot")),
        "memory-row-12" => memory(data.blob("row12.snapshot")),
        _ => return None,
    })
}
