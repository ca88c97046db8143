//! Writes the Rust of `crates/protocol/proto`, or checks that what is committed is what would be written.
//!
//! A package of its own, so that `cargo xtask` does not build a compiler of protocol buffers for every task. It needs
//! no `protoc`: protox reads the files itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: cargo xtask codegen [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("codegen: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), String> {
    let protocol = root().join("crates/protocol");
    let written = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
    generate(&protocol.join("proto"), written.path())?;
    let (new, committed) = (files(written.path())?, protocol.join("src/generated"));
    if check {
        return compare(&new, &files(&committed)?);
    }
    std::fs::create_dir_all(&committed).map_err(|e| format!("{}: {e}", committed.display()))?;
    for name in files(&committed)?.keys().filter(|name| !new.contains_key(*name)) {
        let path = committed.join(name);
        std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    for (name, text) in &new {
        let path = committed.join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn generate(proto: &Path, out: &Path) -> Result<(), String> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(proto.to_owned()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    for name in files(proto)?.keys() {
        compiler.open_file(name).map_err(|e| format!("{e:?}"))?;
    }
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .include_file("packages.rs")
        .compile_fds(compiler.file_descriptor_set())
        .map_err(|e| e.to_string())
}

fn compare(new: &BTreeMap<String, String>, committed: &BTreeMap<String, String>) -> Result<(), String> {
    let differs = |name: &&String| new.get(*name) != committed.get(*name);
    let stale: Vec<&str> = new.keys().chain(committed.keys()).filter(differs).map(String::as_str).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!(
        "crates/protocol/src/generated is not what its .proto files say ({}): run `cargo xtask codegen`",
        stale.join(", ")
    ))
}

/// The files of a directory and their text.
fn files(directory: &Path) -> Result<BTreeMap<String, String>, String> {
    let named = |e: std::io::Error| format!("{}: {e}", directory.display());
    if !directory.exists() {
        return Ok(BTreeMap::new());
    }
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(named)? {
        let entry = entry.map_err(named)?;
        let text = std::fs::read_to_string(entry.path()).map_err(named)?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), text);
    }
    Ok(files)
}

fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.ancestors().nth(2).map_or_else(|| manifest.clone(), Path::to_owned)
}
