//! `factum storage` and `factum backup`: damage is found and named, copies come back.

use std::path::PathBuf;

use crate::factum::Factum;

fn segment(factum: &Factum) -> PathBuf {
    let log = std::fs::read_dir(factum.path("data/log")).unwrap();
    let mut files: Vec<_> = log.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.swap_remove(0)
}

/// Flips one bit of a segment at the place where this text is.
fn flip(path: &PathBuf, text: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_whole_store_is_described_and_verified() {
    let factum = Factum::with_an_order();
    let info = factum.lines(&["storage", "info"]);
    assert_eq!((&info[0]["end"], &info[0]["segments"]), (&"3".into(), &1.into()));
    let verified = factum.lines(&["storage", "verify"]);
    assert_eq!((&verified[0]["events"], &verified[0]["damage"]), (&3.into(), &serde_json::json!([])));
    assert_eq!(verified[0]["root"].as_str().unwrap().len(), 64);
    factum.run(&["storage", "verify", "--data", "/no/such/store"]).fails(5);
}

#[test]
fn a_flipped_bit_is_named_by_verify_and_by_whoever_reads() {
    let factum = Factum::with_an_order();
    flip(&segment(&factum), b"Graz");
    let ran = factum.run(&["storage", "verify"]);
    let error = ran.fails(8);
    assert!(error.contains(".seg at byte 64"), "{error}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let place = report["damage"][0]["place"].as_str().unwrap();
    assert!(place.ends_with("00000000000000000000.seg at byte 64"), "{report}");
    let error = factum.run(&["read", "order-1", "-o", "json"]).fails(1);
    assert!(error.contains("\"slug\":\"damaged\"") && error.contains("factum storage verify"), "{error}");
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let factum = Factum::with_an_order();
    let path = factum.path("data/store");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8..12].copy_from_slice(&77_u32.to_le_bytes());
    // A newer format may be longer, and have its checksum elsewhere.
    bytes.extend([0; 8]);
    std::fs::write(&path, &bytes).unwrap();
    for args in [&["read", "--all"][..], &["append", "order-1", "X"], &["storage", "verify"]] {
        let error = factum.run(args).fails(1);
        assert!(error.contains("format 77") && error.contains("newer build"), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let factum = Factum::with_an_order();
    let engine = factum_engine::Engine::open(factum.path("data"), factum_engine::Options::default()).unwrap();
    let error = factum.run(&["read", "order-1", "-o", "json"]).fails(7);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&error).unwrap()["slug"], "unavailable");
    assert!(error.contains("in use"), "{error}");
    drop(engine);
    factum.run(&["read", "order-1"]).ok();
}

#[test]
fn a_scavenge_asks_before_it_gives_back() {
    let factum = Factum::with_an_order();
    let nothing = factum.lines(&["storage", "scavenge"]);
    assert_eq!(nothing[0]["events"], 0);
}

#[test]
fn a_backup_comes_back_as_a_store() {
    let factum = Factum::with_an_order();
    let backup = factum.path("backup").display().to_string();
    let made = factum.lines(&["backup", "create", &backup]);
    assert_eq!(made[0]["end"], "3");
    assert_eq!(factum.lines(&["backup", "verify", &backup])[0]["bytes"], made[0]["bytes"]);
    factum.run(&["backup", "create", &backup]).fails(3);
    let restored = factum.path("restored").display().to_string();
    factum.run(&["backup", "restore", &backup, "--data", &restored]).ok();
    assert_eq!(factum.lines(&["read", "--all", "--data", &restored]), factum.lines(&["read", "--all"]));
    factum.run(&["backup", "restore", &backup]).fails(3);
    factum.run(&["backup", "verify", "/no/such/backup"]).fails(5);
    let damaged = factum.path("backup/log").read_dir().unwrap().next().unwrap().unwrap().path();
    flip(&damaged, b"Graz");
    assert!(factum.run(&["backup", "verify", &backup]).fails(8).contains("damaged"));
    let other = factum.path("other").display().to_string();
    factum.run(&["backup", "restore", &backup, "--data", &other]).fails(8);
    assert!(!factum.path("other").exists());
}
