//! Does the binary print what README.md promises, and end as it should?

use std::path::Path;
use std::process::{Command, Output};

const THREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/three.xes");

fn loans(args: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loans")).args(args).arg("--data").arg(data).output().unwrap()
}

/// Runs a command that must succeed and gives what it prints.
fn prints(args: &[&str], data: &Path) -> String {
    let output = loans(args, data);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail with this code and these words.
fn fails(args: &[&str], data: &Path, code: i32, words: &str) {
    let output = loans(args, data);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.contains(words), "{args:?}: {error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_small_loan_book_from_import_to_audit() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    for _ in 0..2 {
        assert_eq!(prints(&["import", THREE], data), "");
        let now = r#"{"at":null,"applications":3,"events":18,"requested_eur":20507,"status":{"A_ACTIVATED":1,"A_DECLINED":1,"A_SUBMITTED":1}}"#;
        assert_eq!(prints(&["summary"], data).trim_end(), now);
    }
    let between = r#"{"at":"2020-01-10T09:00:00.049Z","applications":3,"events":17,"requested_eur":20507,"status":{"A_ACTIVATED":1,"A_DECLINED":1}}"#;
    assert_eq!(prints(&["summary", "--at", "2020-01-10T09:00:00.049Z"], data).trim_end(), between);
    let third = r#"{"at":"2020-01-03T12:00:00+01:00","applications":2,"events":12,"requested_eur":20500,"status":{"A_FINALIZED":1,"A_PARTLYSUBMITTED":1}}"#;
    assert_eq!(prints(&["summary", "--at", "2020-01-03T12:00:00+01:00"], data).trim_end(), third);
    let shown = r#"{"at":"2020-01-03T12:00:00+01:00","application":"1","registered":"2020-01-01T10:00:00.000+01:00","requested_eur":20000,"status":"A_FINALIZED","granted":false,"offer":"sent","offers":1,"work":{"W_Completeren aanvraag":"running"},"activities":10,"last_activity":"2020-01-03T10:02:02.000+01:00"}"#;
    assert_eq!(prints(&["show", "1", "--at", "2020-01-03T12:00:00+01:00"], data).trim_end(), shown);
    let audit = r#"{"decided":21,"refused":[],"deviations":{},"granted_without_offer":[],"open_work":{"W_Completeren aanvraag":1}}"#;
    assert_eq!(prints(&["audit"], data).trim_end(), audit);
    let funnel = concat!(
        r#"{"week":"2019-12-30","submitted":2,"preaccepted":1,"accepted":1,"finalized":1,"granted":1,"declined":1,"cancelled":0}"#,
        "\n",
        r#"{"week":"2020-01-06","submitted":1,"preaccepted":0,"accepted":0,"finalized":0,"granted":0,"declined":0,"cancelled":0}"#,
    );
    for _ in 0..2 {
        assert_eq!(prints(&["rows", "funnel"], data).trim_end(), funnel);
    }
    assert_eq!(prints(&["rows", "decision-times"], data).lines().count(), 3);
    assert!(prints(&["rows", "workload"], data).contains(r#""employee":"nobody","#));
    fails(&["show", "9"], data, 5, "9 is not registered");
    fails(&["show", "3", "--at", "2020-01-10T08:59:59Z"], data, 5, "not registered at 2020-01-10");
    fails(&["summary", "--at", "yesterday"], data, 2, "'yesterday' is not a time");
}

#[test]
fn a_bad_log_or_directory_is_named() {
    let data = tempfile::tempdir().unwrap();
    let cut = data.path().join("cut.xes");
    let three = std::fs::read(THREE).unwrap();
    std::fs::write(&cut, &three[..three.len() / 2]).unwrap();
    let store = data.path().join("store");
    fails(&["import", cut.to_str().unwrap()], &store, 2, "cut");
    let empty = r#"{"at":null,"applications":0,"events":0,"requested_eur":0,"status":{}}"#;
    assert_eq!(prints(&["summary"], &store).trim_end(), empty);
    fails(&["import", "no such file"], &store, 5, "no such file");
    fails(&["summary"], &data.path().join("nowhere"), 5, "there is no store");
    let other = data.path().join("other.xes");
    let unknown = String::from_utf8(three).unwrap().replace("A_DECLINED", "A_UNHEARD_OF");
    std::fs::write(&other, unknown).unwrap();
    prints(&["import", other.to_str().unwrap()], &store);
    fails(&["summary"], &store, 1, "'A_UNHEARD_OF' of stream 'loan-2'");
}

/// Whether a file below `path` holds this text.
fn holds(path: &Path, text: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), text));
    }
    std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn an_employee_is_sealed_and_forgotten_and_the_numbers_stay() {
    const EMPLOYEE: &str = "Xanthippe-7f3a";
    let folder = tempfile::tempdir().unwrap();
    let data = &folder.path().join("book");
    let three = std::fs::read_to_string(THREE).unwrap().replace("\"112\"", &format!("\"{EMPLOYEE}\""));
    let log = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(log.path(), three).unwrap();
    let import = ["import", log.path().to_str().unwrap()];
    prints(&import, data);
    assert!(!holds(folder.path(), EMPLOYEE), "in clear, in no event, name, tag or key file");
    let summary = prints(&["summary"], data);
    let done = prints(&["activities", "2"], data);
    assert!(done.lines().next().unwrap().ends_with(&format!(r#""employee":"{EMPLOYEE}"}}"#)), "{done}");
    assert!(done.lines().nth(1).unwrap().ends_with(r#""employee":null}"#), "{done}");
    let workload = prints(&["rows", "workload"], data);
    assert!(workload.contains(EMPLOYEE) && holds(&data.join("read-models"), EMPLOYEE));

    fails(&["forget", "113", "--reason", "r", "--confirm", "113"], data, 5, "no event names that employee");
    fails(&["forget", EMPLOYEE, "--reason", "r", "--confirm", "113"], data, 2, "--confirm");
    let forget = ["forget", EMPLOYEE, "--reason", "request 7", "--confirm", EMPLOYEE];
    let receipt = prints(&forget, data);
    assert!(
        receipt.contains(r#""keys_destroyed":1"#) && receipt.contains("read model workload"),
        "{receipt}"
    );
    assert_eq!(prints(&forget, data), receipt, "asked for again, it is the same erasure");
    assert!(!holds(folder.path(), EMPLOYEE), "no byte of store, read models and keys");

    assert_eq!(prints(&["summary"], data), summary);
    assert_eq!(prints(&["rows", "workload"], data), workload.replace(EMPLOYEE, "erased"));
    let done = prints(&["activities", "2"], data);
    assert!(done.lines().next().unwrap().contains(r#""employee":"erased","erasure":""#), "{done}");
    // The file still names them. What is there already is not sealed again.
    prints(&import, data);
    assert!(!holds(folder.path(), EMPLOYEE));
}

#[test]
fn without_its_vault_a_loan_book_has_numbers_and_no_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = &folder.path().join("book");
    prints(&["import", THREE], data);
    let funnel = prints(&["rows", "funnel"], data);
    std::fs::remove_dir_all(folder.path().join("book.vault")).unwrap();
    for verb in [&["summary"][..], &["show", "1"], &["audit"], &["rows", "decision-times"]] {
        prints(verb, data);
    }
    assert_eq!(prints(&["rows", "funnel"], data), funnel);
    for verb in [&["activities", "2"][..], &["rows", "workload"]] {
        fails(verb, data, 5, "there is no key store");
    }
}

/// What a server answers at this address.
fn get(address: &str, path: &str) -> serde_json::Value {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    serde_json::from_str(body).unwrap()
}

/// A server that is killed with its test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[cfg(unix)]
fn a_loan_book_is_served_with_what_follows_it() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let data = &folder.path().join("book");
    prints(&["import", THREE], data);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loans"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stderr(std::process::Stdio::piped());
    let mut serving = Serving(command.spawn().unwrap());
    let mut said = String::new();
    std::io::BufReader::new(serving.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let began = std::time::Instant::now();
    loop {
        let list = get(&address, "/v1/projections");
        let lines = list["items"].as_array().unwrap();
        if lines.len() == 3 && lines.iter().all(|line| line["status"] == "caught up") {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "{list}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let rows = get(&address, "/v1/projections/funnel/tables/funnel");
    assert_eq!(rows["rows"].as_array().unwrap().len(), 2, "{rows}");
    let employee = get(&address, "/v1/privacy/112");
    assert!(employee["events"].as_u64().unwrap() > 0, "{employee}");
    let id = serving.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(serving.0.wait().unwrap().code(), Some(0));
}
