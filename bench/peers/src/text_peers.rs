// SPDX-License-Identifier: Apache-2.0
//
// The text workloads with diamond-types, yrs and automerge, each in its own format. Their positions
// are scalars, bytes or UTF-16 units; the traces are ASCII, where these are the same.

use crate::data::{hash, timed, Data, Report, Txn};
use crate::gen::missing_parents;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ReadDoc, ROOT};
use diamond_types::list::encoding::ENCODE_FULL;
use diamond_types::list::{ListCRDT, OpLog};
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Text, Transact, Update};

fn report(time: u128, operations: usize, bytes: usize, text: &str) -> Report {
    Report { samples: vec![time], operations, bytes, check: hash(text) }
}

// --- diamond-types ---

fn diamond_replay(txns: &[Txn]) -> ListCRDT {
    let mut doc = ListCRDT::new();
    let agent = doc.get_or_create_agent_id("1");
    for patch in txns.iter().flat_map(|txn| &txn.patches) {
        if patch.deleted > 0 {
            doc.delete_without_content(agent, patch.position..patch.position + patch.deleted);
        }
        if !patch.inserted.is_empty() {
            doc.insert(agent, patch.position, &patch.inserted);
        }
    }
    doc
}

fn diamond_concurrent(txns: &[Txn]) -> OpLog {
    let mut log = OpLog::new();
    let agents = [log.get_or_create_agent_id("1"), log.get_or_create_agent_id("2")];
    let mut heads: Vec<Vec<usize>> = Vec::new();
    for txn in txns {
        let mut at: Vec<usize> = txn.parents.iter().flat_map(|&parent| heads[parent].clone()).collect();
        at.sort_unstable();
        at.dedup();
        for patch in &txn.patches {
            if patch.deleted > 0 {
                let end = patch.position + patch.deleted;
                at = vec![log.add_delete_at(agents[txn.agent], &at, patch.position..end)];
            }
            if !patch.inserted.is_empty() {
                at = vec![log.add_insert_at(agents[txn.agent], &at, patch.position, &patch.inserted)];
            }
        }
        heads.push(at);
    }
    log
}

pub fn diamond(workload: &str, data: &Data) -> Option<Report> {
    Some(match workload {
        "replay-commit-each" | "replay-commit-once" => {
            let txns = data.trace("automerge-paper");
            let (doc, time) = timed(|| diamond_replay(&txns));
            report(time, txns.len(), 0, &doc.branch.content().to_string())
        }
        "paper-import-updates" => {
            let bytes = diamond_replay(&data.trace("automerge-paper")).oplog.encode(ENCODE_FULL);
            let (doc, time) = timed(|| ListCRDT::load_from(&bytes).unwrap());
            report(time, 1, bytes.len(), &doc.branch.content().to_string())
        }
        "friends-export" => {
            let log = diamond_concurrent(&data.trace("friendsforever"));
            let (bytes, time) = timed(|| log.encode(ENCODE_FULL));
            report(time, 1, bytes.len(), &log.checkout_tip().content().to_string())
        }
        "friends-import" => {
            let bytes = diamond_concurrent(&data.trace("friendsforever")).encode(ENCODE_FULL);
            let (doc, time) = timed(|| ListCRDT::load_from(&bytes).unwrap());
            report(time, 1, bytes.len(), &doc.branch.content().to_string())
        }
        _ => return None,
    })
}

// --- yrs ---

fn yrs_text(doc: &Doc) -> String {
    let text = doc.get_or_insert_text("text");
    text.get_string(&doc.transact())
}

fn yrs_apply(text: &yrs::TextRef, change: &mut yrs::TransactionMut<'_>, txn: &Txn) {
    for patch in &txn.patches {
        if patch.deleted > 0 {
            text.remove_range(change, patch.position as u32, patch.deleted as u32);
        }
        if !patch.inserted.is_empty() {
            text.insert(change, patch.position as u32, &patch.inserted);
        }
    }
}

fn yrs_replay(txns: &[Txn], commit_each: bool) -> Doc {
    let doc = Doc::with_client_id(1);
    let text = doc.get_or_insert_text("text");
    if commit_each {
        for txn in txns {
            yrs_apply(&text, &mut doc.transact_mut(), txn);
        }
    } else {
        let mut change = doc.transact_mut();
        for txn in txns {
            yrs_apply(&text, &mut change, txn);
        }
    }
    doc
}

fn yrs_all(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}

fn yrs_import(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
}

fn yrs_imported(update: &[u8]) -> Doc {
    let doc = Doc::with_client_id(9);
    doc.get_or_insert_text("text");
    yrs_import(&doc, update);
    doc
}

/// The updates of each transaction.
fn yrs_concurrent(txns: &[Txn]) -> Vec<Vec<u8>> {
    let docs = [Doc::with_client_id(1), Doc::with_client_id(2)];
    let texts = [docs[0].get_or_insert_text("text"), docs[1].get_or_insert_text("text")];
    let mut known = [vec![false; txns.len()], vec![false; txns.len()]];
    let mut updates: Vec<Vec<u8>> = Vec::new();
    for (at, txn) in txns.iter().enumerate() {
        for missing in missing_parents(txns, &known[txn.agent], txn) {
            yrs_import(&docs[txn.agent], &updates[missing]);
            known[txn.agent][missing] = true;
        }
        let mut change = docs[txn.agent].transact_mut();
        yrs_apply(&texts[txn.agent], &mut change, txn);
        updates.push(change.encode_update_v1());
        known[txn.agent][at] = true;
    }
    updates
}

pub fn yrs(workload: &str, data: &Data) -> Option<Report> {
    Some(match workload {
        "replay-commit-each" | "replay-commit-once" => {
            let txns = data.trace("automerge-paper");
            let (doc, time) = timed(|| yrs_replay(&txns, workload == "replay-commit-each"));
            report(time, txns.len(), 0, &yrs_text(&doc))
        }
        "paper-import-updates" => {
            let update = yrs_all(&yrs_replay(&data.trace("automerge-paper"), true));
            let (doc, time) = timed(|| yrs_imported(&update));
            report(time, 1, update.len(), &yrs_text(&doc))
        }
        "friends-export" | "friends-import" | "friends-one-by-one" => {
            let updates = yrs_concurrent(&data.trace("friendsforever"));
            let (doc, relayed) = timed(|| {
                let doc = Doc::with_client_id(9);
                doc.get_or_insert_text("text");
                for update in &updates {
                    yrs_import(&doc, update);
                }
                doc
            });
            if workload == "friends-one-by-one" {
                return Some(report(relayed, updates.len(), 0, &yrs_text(&doc)));
            }
            let (update, exported) = timed(|| yrs_all(&doc));
            let (copy, imported) = timed(|| yrs_imported(&update));
            let time = if workload == "friends-export" { exported } else { imported };
            report(time, 1, update.len(), &yrs_text(&copy))
        }
        _ => return None,
    })
}

// --- automerge ---

fn automerge_new(actor: u8) -> AutoCommit {
    AutoCommit::new().with_actor(vec![actor; 16].into())
}

fn automerge_text(doc: &AutoCommit) -> String {
    let (_, text) = doc.get(ROOT, "text").unwrap().unwrap();
    doc.text(&text).unwrap()
}

fn automerge_apply(doc: &mut AutoCommit, text: &automerge::ObjId, txn: &Txn) {
    for patch in &txn.patches {
        doc.splice_text(text, patch.position, patch.deleted as isize, &patch.inserted).unwrap();
    }
}

fn automerge_replay(txns: &[Txn], commit_each: bool) -> AutoCommit {
    let mut doc = automerge_new(1);
    let text = doc.put_object(ROOT, "text", ObjType::Text).unwrap();
    for txn in txns {
        automerge_apply(&mut doc, &text, txn);
        if commit_each {
            doc.commit();
        }
    }
    doc.commit();
    doc
}

fn automerge_concurrent(txns: &[Txn]) -> AutoCommit {
    let mut base = automerge_new(3);
    let text = base.put_object(ROOT, "text", ObjType::Text).unwrap();
    base.commit();
    let mut docs = [base.fork().with_actor(vec![1; 16].into()), base.fork().with_actor(vec![2; 16].into())];
    let mut known = [vec![false; txns.len()], vec![false; txns.len()]];
    let mut changes: Vec<automerge::Change> = Vec::new();
    for (at, txn) in txns.iter().enumerate() {
        let doc = &mut docs[txn.agent];
        let missing = missing_parents(txns, &known[txn.agent], txn);
        doc.apply_changes(missing.iter().map(|&at| changes[at].clone())).unwrap();
        missing.iter().for_each(|&at| known[txn.agent][at] = true);
        automerge_apply(doc, &text, txn);
        doc.commit();
        changes.push(doc.get_last_local_change().unwrap());
        known[txn.agent][at] = true;
    }
    base.apply_changes(changes).unwrap();
    base
}

pub fn automerge(workload: &str, data: &Data) -> Option<Report> {
    Some(match workload {
        "replay-commit-each" | "replay-commit-once" => {
            let txns = data.trace("automerge-paper");
            let (doc, time) = timed(|| automerge_replay(&txns, workload == "replay-commit-each"));
            report(time, txns.len(), 0, &automerge_text(&doc))
        }
        "paper-load" => {
            let bytes = automerge_replay(&data.trace("automerge-paper"), false).save();
            let (doc, time) = timed(|| AutoCommit::load(&bytes).unwrap());
            report(time, 1, bytes.len(), &automerge_text(&doc))
        }
        "friends-export" | "friends-import" => {
            let mut doc = automerge_concurrent(&data.trace("friendsforever"));
            let (bytes, exported) = timed(|| doc.save());
            let (copy, imported) = timed(|| AutoCommit::load(&bytes).unwrap());
            let time = if workload == "friends-export" { exported } else { imported };
            report(time, 1, bytes.len(), &automerge_text(&copy))
        }
        _ => return None,
    })
}
