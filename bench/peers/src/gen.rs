// SPDX-License-Identifier: Apache-2.0
//
// Writes the blobs that the workloads import. Loro makes them, so that every engine that reads the
// format starts from the same bytes.

use crate::data::{Data, Random, Txn};
use loro::{ExportMode, LoroDoc, LoroMap, LoroMovableList, LoroTree, TreeID, TreeParentId, VersionVector};

pub const UPDATES: usize = 1000;
pub const STROKES: usize = 1000;
pub const TEXT_LENGTH: usize = 50_000;
pub const MAP_OPS: usize = 1_000_000;
pub const MAP_KEYS: usize = 100_000;
pub const TREE_NODES: usize = 10_000;
pub const TREE_MOVES: usize = 100_000;
pub const LIST_ITEMS: usize = 10_000;
pub const LIST_MOVES: usize = 10_000;

fn doc(peer: u64) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.set_peer_id(peer).unwrap();
    doc
}

fn all(doc: &LoroDoc) -> Vec<u8> {
    doc.export(ExportMode::all_updates()).unwrap()
}

fn since(doc: &LoroDoc, from: &VersionVector) -> Vec<u8> {
    doc.export(ExportMode::updates(from)).unwrap()
}

pub fn apply(text: &loro::LoroText, txn: &Txn) {
    for patch in &txn.patches {
        if patch.deleted > 0 {
            text.delete(patch.position, patch.deleted).unwrap();
        }
        if !patch.inserted.is_empty() {
            text.insert(patch.position, &patch.inserted).unwrap();
        }
    }
}

fn traces(data: &Data) {
    let paper = doc(1);
    let text = paper.get_text("text");
    for txn in data.trace("automerge-paper") {
        apply(&text, &txn);
        paper.commit();
    }
    data.write_blobs("automerge-paper.updates", &[all(&paper)]);
    data.write_blobs("automerge-paper.snapshot", &[paper.export(ExportMode::Snapshot).unwrap()]);

    // Each author's document takes in exactly what the author had seen.
    let txns = data.trace("friendsforever");
    let docs = [doc(1), doc(2)];
    let texts = [docs[0].get_text("text"), docs[1].get_text("text")];
    let mut known = [vec![false; txns.len()], vec![false; txns.len()]];
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    for (at, txn) in txns.iter().enumerate() {
        let agent = txn.agent;
        for missing in missing_parents(&txns, &known[agent], txn) {
            docs[agent].import(&blobs[missing]).unwrap();
            known[agent][missing] = true;
        }
        let before = docs[agent].oplog_vv();
        apply(&texts[agent], txn);
        docs[agent].commit();
        blobs.push(since(&docs[agent], &before));
        known[agent][at] = true;
    }
    let whole = doc(3);
    whole.import_batch(&blobs).unwrap();
    data.write_blobs("friendsforever.updates", &[all(&whole)]);
    data.write_blobs("friendsforever.txns", &blobs);
}

/// The transactions that `txn` follows and that are not known yet, oldest first.
pub fn missing_parents(txns: &[Txn], known: &[bool], txn: &Txn) -> Vec<usize> {
    let mut missing = Vec::new();
    let mut open = txn.parents.clone();
    while let Some(at) = open.pop() {
        if !known[at] && !missing.contains(&at) {
            missing.push(at);
            open.extend(&txns[at].parents);
        }
    }
    missing.sort_unstable();
    missing
}

/// Writes NAME.base (a document), NAME.linear (one update after the other) and NAME.concurrent
/// (pairs of updates that do not know each other; each pair knows those before).
fn small_updates(data: &Data, name: &str, fill: impl Fn(&LoroDoc), edit: impl Fn(&LoroDoc, usize)) {
    let base = doc(1);
    fill(&base);
    base.commit();
    data.write_blobs(&format!("{name}.base"), &[all(&base)]);

    let commit = |doc: &LoroDoc, at: usize| {
        let before = doc.oplog_vv();
        edit(doc, at);
        doc.commit();
        since(doc, &before)
    };
    let fork = |peer: u64| {
        let fork = doc(peer);
        fork.import(&all(&base)).unwrap();
        fork
    };
    let writer = fork(2);
    let linear: Vec<Vec<u8>> = (0..UPDATES).map(|at| commit(&writer, at)).collect();
    data.write_blobs(&format!("{name}.linear"), &linear);

    let (left, right) = (fork(3), fork(4));
    let mut pairs = Vec::new();
    for at in 0..UPDATES / 2 {
        let (a, b) = (commit(&left, 2 * at), commit(&right, 2 * at + 1));
        left.import(&b).unwrap();
        right.import(&a).unwrap();
        pairs.extend([a, b]);
    }
    data.write_blobs(&format!("{name}.concurrent"), &pairs);
}

fn add_stroke(doc: &LoroDoc, at: usize) {
    let strokes = doc.get_list("strokes");
    let stroke = strokes.push_container(LoroMap::new()).unwrap();
    stroke.insert("x", at as i64 % 1920).unwrap();
    stroke.insert("y", at as i64 * 7 % 1080).unwrap();
    stroke.insert("color", format!("#{:06x}", at * 977 % 0xFFFFFF)).unwrap();
    stroke.insert("width", at as i64 % 9 + 1).unwrap();
    stroke.insert("tool", if at % 5 == 0 { "marker" } else { "pen" }).unwrap();
    stroke.insert("author", format!("user-{}", at % 20)).unwrap();
    stroke.insert("points", format!("{},{} {},{}", at, at + 3, at + 11, at + 5)).unwrap();
}

fn edit_board(doc: &LoroDoc, at: usize) {
    if at % 4 == 3 {
        add_stroke(doc, at);
        return;
    }
    let strokes = doc.get_list("strokes");
    let stroke = strokes.get(at * 7919 % STROKES).unwrap().into_container().unwrap().into_map().unwrap();
    stroke.insert("x", at as i64).unwrap();
}

fn fill_row(doc: &LoroDoc) {
    let row = doc.get_map("row");
    row.insert("author", "Ada Lovelace").unwrap();
    row.insert("body", "The engine weaves algebraical patterns, as the loom weaves flowers and leaves.").unwrap();
    row.insert("channel", "general").unwrap();
    row.insert("sent", 1_700_000_000).unwrap();
    row.insert("likes", 0).unwrap();
}

fn fill_wide_row(doc: &LoroDoc) {
    let row = doc.get_map("row");
    for field in 0..12 {
        row.insert(&format!("column_{field}"), format!("value {field} of a record")).unwrap();
    }
}

fn rows_boards_and_texts(data: &Data) {
    small_updates(data, "row", fill_row, |doc, at| doc.get_map("row").insert("likes", at as i64).unwrap());
    let fill_board = |doc: &LoroDoc| (0..STROKES).for_each(|at| add_stroke(doc, at));
    small_updates(data, "board", fill_board, edit_board);
    let fill_text = |doc: &LoroDoc| {
        let mut random = Random(5);
        let body: String = (0..TEXT_LENGTH).map(|_| (b'a' + random.below(26) as u8) as char).collect();
        doc.get_text("text").insert(0, &body).unwrap();
    };
    small_updates(data, "text", fill_text, |doc, at| {
        // Two places that are typed at, by turns.
        let start = if at % 2 == 0 { 10_000 } else { 40_000 };
        doc.get_text("text").insert(start + at / 2, "x").unwrap();
    });
    let wide = doc(1);
    fill_wide_row(&wide);
    wide.commit();
    data.write_blobs("row12.base", &[all(&wide)]);
    for (name, fill) in [("row", fill_row as fn(&LoroDoc)), ("row12", fill_wide_row)] {
        let row = doc(1);
        fill(&row);
        row.commit();
        data.write_blobs(&format!("{name}.snapshot"), &[row.export(ExportMode::Snapshot).unwrap()]);
    }
}

/// Maps in lists in maps, eight deep, four children each but for the last.
fn deep(data: &Data) {
    fn fill(map: &LoroMap, depth: usize) {
        map.insert("name", format!("node at depth {depth}")).unwrap();
        map.insert("size", depth as i64 * 1000).unwrap();
        map.insert("done", depth % 2 == 0).unwrap();
        if depth == 8 {
            return;
        }
        let children = map.insert_container("children", loro::LoroList::new()).unwrap();
        for _ in 0..3 {
            fill(&children.push_container(LoroMap::new()).unwrap(), depth + 1);
        }
    }
    let doc = doc(1);
    fill(&doc.get_map("root"), 0);
    doc.commit();
    data.write_blobs("deep.updates", &[all(&doc)]);
}

pub fn fill_map(map: &LoroMap, ops: usize, mut commit: impl FnMut()) {
    let mut random = Random(7);
    for at in 0..ops {
        map.insert(&format!("key{}", random.below(MAP_KEYS)), at as i64).unwrap();
        if at % 1000 == 999 {
            commit();
        }
    }
}

pub fn fill_tree(tree: &LoroTree, mut commit: impl FnMut()) -> usize {
    let nodes: Vec<TreeID> = (0..TREE_NODES).map(|_| tree.create(TreeParentId::Root).unwrap()).collect();
    commit();
    let mut random = Random(11);
    let mut refused = 0;
    for at in 0..TREE_MOVES {
        let (node, parent) = (nodes[random.below(TREE_NODES)], nodes[random.below(TREE_NODES)]);
        refused += usize::from(tree.mov(node, TreeParentId::Node(parent)).is_err());
        if at % 1000 == 999 {
            commit();
        }
    }
    refused
}

pub fn fill_movable(list: &LoroMovableList, mut commit: impl FnMut()) {
    for at in 0..LIST_ITEMS {
        list.push(at as i64).unwrap();
    }
    commit();
    let mut random = Random(13);
    for _ in 0..LIST_MOVES {
        list.mov(random.below(LIST_ITEMS), random.below(LIST_ITEMS)).unwrap();
        commit();
    }
}

fn structures(data: &Data) {
    let map = doc(1);
    fill_map(&map.get_map("map"), MAP_OPS, || map.commit());
    data.write_blobs("map.updates", &[all(&map)]);
    let tree = doc(1);
    fill_tree(&tree.get_tree("tree"), || tree.commit());
    data.write_blobs("tree.updates", &[all(&tree)]);
    let movable = doc(1);
    fill_movable(&movable.get_movable_list("list"), || movable.commit());
    data.write_blobs("movable.updates", &[all(&movable)]);
}

/// Two authors of one text who type words at places of their own and meet after every thousand
/// characters each.
fn concurrent(data: &Data, characters: usize) {
    let docs = [doc(1), doc(2)];
    let texts = [docs[0].get_text("text"), docs[1].get_text("text")];
    let mut random = Random(17);
    let mut typed = 0;
    while typed < characters {
        let before = [docs[0].oplog_vv(), docs[1].oplog_vv()];
        for (doc, text) in docs.iter().zip(&texts) {
            let session = 1000.min(characters / 2);
            for _ in 0..session / 10 {
                let at = random.below(text.len_unicode() + 1);
                text.insert(at, "ten chars.").unwrap();
                doc.commit();
            }
            typed += session;
        }
        let [a, b] = [since(&docs[0], &before[0]), since(&docs[1], &before[1])];
        docs[0].import(&b).unwrap();
        docs[1].import(&a).unwrap();
    }
    data.write_blobs(&format!("concurrent-{characters}.updates"), &[all(&docs[0])]);
}

pub fn write_all(data: &Data) {
    traces(data);
    rows_boards_and_texts(data);
    deep(data);
    structures(data);
    for characters in [1_000, 10_000, 100_000, 1_000_000] {
        concurrent(data, characters);
    }
}
