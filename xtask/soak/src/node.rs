//! The server's process: started, killed in the middle of everything, started again on the same directory.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    binary: PathBuf,
    data: TempDir,
    port: u16,
    child: Child,
}

impl Node {
    pub(crate) async fn start(binary: &Path) -> Result<Self, String> {
        let data = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
        // The same port after every restart: clients dial it again.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|e| format!("no free port: {e}"))?
            .port();
        let child = spawn(binary, data.path(), port).await?;
        Ok(Self { binary: binary.to_owned(), data, port, child })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn kill_and_restart(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|e| format!("the server cannot be killed: {e}"))?;
        self.child = spawn(&self.binary, self.data.path(), self.port).await?;
        Ok(())
    }

    pub(crate) async fn stop(mut self) {
        let _ = self.child.kill().await;
    }

    /// Memory that the server holds, in MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = self.child.id().map(|id| format!("/proc/{id}/status"));
        let text = status.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    }
}

async fn spawn(binary: &Path, data: &Path, port: u16) -> Result<Child, String> {
    let listen = format!("127.0.0.1:{port}");
    let mut child = Command::new(binary)
        .args(["serve", "--insecure", "--listen", &listen, "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{} does not start: {e}", binary.display()))?;
    let stderr = child.stderr.take().ok_or("the server has no stderr")?;
    let mut lines = BufReader::new(stderr).lines();
    let listening = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("listening on") {
                return true;
            }
            eprintln!("server: {line}");
        }
        false
    };
    match tokio::time::timeout(START, listening).await {
        Ok(true) => {
            // What it says later must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            Ok(child)
        }
        Ok(false) => Err("the server ended before it listened".to_owned()),
        Err(_) => Err(format!("the server does not listen after {START:?}")),
    }
}
