//! Which crate may use which? One allow-list, read from `cargo metadata`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Finding;

/// Each package with those of ours that it may use. A lower layer never names a higher one, a backend no other backend.
const MAY_USE: &[(&str, &[&str])] = &[
    ("factum-core", &[]),
    ("factum-derive", &[]),
    ("factum-testserver", &[]),
    ("factum-vault", &["factum-core"]),
    ("factum-testkit", &["factum-core", "factum-testserver", "factum-vault"]),
    ("factum", &["factum-core", "factum-derive", "factum-vault"]),
    ("factum-engine", &["factum-core"]),
    ("factum-postgres", &["factum-core", "factum-vault"]),
    ("factum-protocol", &["factum-core"]),
    ("factum-server", &["factum", "factum-core", "factum-protocol"]),
    ("factum-console", &[]),
    ("codegen", &[]),
    ("soak", &["factum-core", "factum-protocol"]),
    ("factum-sqlite", &["factum-core", "factum-vault"]),
    ("bank", &["factum", "factum-core", "factum-engine", "factum-vault"]),
    (
        "loans",
        &[
            "factum",
            "factum-cli",
            "factum-core",
            "factum-engine",
            "factum-postgres",
            "factum-server",
            "factum-sqlite",
            "factum-vault",
        ],
    ),
    ("orders", &["factum", "factum-core", "factum-engine", "factum-postgres", "factum-sqlite"]),
    (
        "factum-cli",
        &[
            "bank",
            "factum",
            "factum-console",
            "factum-core",
            "factum-engine",
            "factum-postgres",
            "factum-protocol",
            "factum-server",
            "factum-sqlite",
            "factum-vault",
        ],
    ),
    ("xtask", &["factum-testserver"]),
];

/// What tests may use beside that. The kit is for tests, so each crate's tests may use it.
const TESTS_MAY_USE: &[(&str, &[&str])] = &[
    ("factum", &["factum-engine", "factum-sqlite"]),
    ("factum-derive", &["factum", "factum-core"]),
    ("factum-server", &["factum-engine"]),
    ("factum-testkit", &["factum-engine"]),
    ("bank", &["factum-postgres", "factum-sqlite"]),
    ("factum-postgres", &["factum", "factum-engine"]),
    ("factum-protocol", &["factum", "factum-server"]),
];

/// Foreign crates that only some of ours may know, by the start of their name.
const KNOWN_ONLY_TO: &[(&str, &[&str])] = &[
    ("syn", &["factum-derive"]),
    ("quote", &["factum-derive"]),
    ("proc-macro", &["factum-derive"]),
    ("tonic", &["factum-protocol", "factum-server", "codegen", "soak"]),
    ("prost", &["factum-protocol", "factum-server"]),
    ("axum", &["factum-server", "factum-console"]),
    ("rusqlite", &["factum-sqlite"]),
    ("sqlx", &["factum-sqlite", "factum-postgres"]),
    ("tokio-postgres", &["factum-postgres"]),
    ("chacha20", &["factum-vault"]),
    ("aes-", &["factum-vault"]),
    ("cryptoki", &["factum-vault", "factum-testkit"]),
    ("rustls", &["factum-protocol", "factum-server", "factum-vault"]),
    ("ureq", &["factum-vault"]),
    ("tokio-rustls", &["factum-protocol", "factum-server"]),
    ("argon2", &["factum-server"]),
    ("clap", &["factum-cli", "soak", "bank", "loans", "orders"]),
    ("anyhow", &[]),
];

/// The packages with feature flags.
const MAY_HAVE_FEATURES: &[&str] = &["factum-cli"];

/// Reads the workspace's dependencies.
///
/// # Errors
/// Where the metadata does not have cargo's shape.
pub(super) fn check(metadata: &Value, findings: &mut Vec<Finding>) -> Result<(), String> {
    let packages = metadata["packages"].as_array().ok_or("cargo metadata has no packages")?;
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in packages {
        let name = package["name"].as_str().ok_or("a package without a name")?;
        let mut say = |what: String| findings.push(Finding::new("xtask/src/tidy/edges.rs", 0, what));
        let Some(allowed) = listed(MAY_USE, name) else {
            say(format!("package {name} is not in the list of edges: say there what it may use"));
            continue;
        };
        let has_features = package["features"].as_object().is_some_and(|features| !features.is_empty());
        if has_features && !MAY_HAVE_FEATURES.contains(&name) {
            say(format!("{name} has feature flags: only {} may", MAY_HAVE_FEATURES.join(", ")));
        }
        for dependency in package["dependencies"].as_array().map_or(&[][..], Vec::as_slice) {
            let used = dependency["name"].as_str().ok_or("a dependency without a name")?;
            let for_tests = dependency["kind"] == "dev";
            if ours.contains(used) {
                let in_tests = for_tests
                    && (used == "factum-testkit"
                        || listed(TESTS_MAY_USE, name).is_some_and(|list| list.contains(&used)));
                if !allowed.contains(&used) && !in_tests {
                    say(format!("{name} may not use {used}: see the layers in ARCHITECTURE.md"));
                }
            } else if let Some((start, owners)) =
                KNOWN_ONLY_TO.iter().find(|(start, _)| is_of(used, start)).filter(|_| !for_tests)
                && !owners.contains(&name)
            {
                say(format!("{name} may not know {used} ({start}): only {} may", owners.join(", ")));
            }
        }
    }
    Ok(())
}

fn listed(list: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    list.iter().find(|(package, _)| *package == name).map(|(_, used)| *used)
}

/// Whether `name` is `start` itself or one of its family (`tonic-build`, `proc-macro2`).
fn is_of(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| {
        rest.is_empty() || start.ends_with('-') || !rest.starts_with(|c: char| c.is_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn refusals(packages: &Value) -> Vec<String> {
        let mut findings = Vec::new();
        super::check(&json!({ "packages": packages }), &mut findings).unwrap();
        findings.into_iter().map(|finding| finding.what).collect()
    }

    fn package(name: &str, used: &str, kind: Option<&str>) -> Value {
        json!({ "name": name, "features": {}, "dependencies": [{ "name": used, "kind": kind }] })
    }

    fn plain(name: &str) -> Value {
        json!({ "name": name, "features": {}, "dependencies": [] })
    }

    #[test]
    fn an_edge_upwards_is_refused() {
        let said = refusals(&json!([package("factum-core", "factum-engine", None), plain("factum-engine")]));
        assert_eq!(said, ["factum-core may not use factum-engine: see the layers in ARCHITECTURE.md"]);
    }

    #[test]
    fn tests_may_use_the_kit_but_not_any_crate() {
        let kit = json!([package("factum-core", "factum-testkit", Some("dev")), plain("factum-testkit")]);
        assert_eq!(refusals(&kit), [""; 0]);
        let engine = json!([package("factum-core", "factum-engine", Some("dev")), plain("factum-engine")]);
        assert_eq!(refusals(&engine).len(), 1);
        let built = json!([package("factum-core", "factum-testkit", None), plain("factum-testkit")]);
        assert_eq!(refusals(&built).len(), 1);
    }

    #[test]
    fn foreign_crates_have_owners() {
        assert_eq!(refusals(&json!([package("factum-core", "syn", None)])).len(), 1);
        assert_eq!(refusals(&json!([package("factum-core", "proc-macro2", None)])).len(), 1);
        assert_eq!(refusals(&json!([package("factum-core", "anyhow", None)])).len(), 1);
        assert_eq!(refusals(&json!([package("factum-derive", "syn", None)])), [""; 0]);
        assert_eq!(refusals(&json!([package("factum-core", "synthetic", None)])), [""; 0]);
    }

    #[test]
    fn an_unlisted_package_is_refused() {
        assert!(refusals(&json!([plain("factum-new")]))[0].contains("not in the list"));
    }

    #[test]
    fn feature_flags_are_for_the_command_line() {
        let package = |name: &str| json!([{ "name": name, "features": { "fast": [] }, "dependencies": [] }]);
        assert_eq!(refusals(&package("factum-core")), ["factum-core has feature flags: only factum-cli may"]);
        assert_eq!(refusals(&package("factum-cli")), [""; 0]);
    }
}
