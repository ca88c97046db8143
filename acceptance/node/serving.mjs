// How does a test start `factum serve`, find where it listens, and end it?

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = process.env.FACTUM_BINARY || join(root, "target/debug/factum");
/** What the first users of a server with users sign in with. */
export const PASSWORD = "acceptance-of-factum";
const START_LIMIT_MS = 60_000;

const freePort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/** One `factum serve`. Its data is in memory or, to be kept over restarts, in a directory. */
export class Server {
  static async start({ keep = false, insecure = true, more = [] } = {}) {
    const server = new Server();
    server.directory = keep ? mkdtempSync(join(tmpdir(), "factum-acceptance-")) : undefined;
    server.port = keep ? await freePort() : 0;
    server.more = [...(insecure ? ["--insecure"] : []), ...more];
    await server.begin();
    return server;
  }

  begin() {
    const store = this.directory ? ["--data", this.directory] : ["--memory"];
    const command = ["serve", ...store, "--listen", `127.0.0.1:${this.port}`, ...this.more];
    const env = { ...process.env, FACTUM_ADMIN_PASSWORD: PASSWORD, FACTUM_OPS_PASSWORD: PASSWORD };
    this.process = spawn(binary, command, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.on("exit", resolve));
    const said = [];
    return new Promise((resolve, reject) => {
      const failed = () => reject(new Error(`the server did not start: ${said.join("\n")}`));
      const patience = setTimeout(failed, START_LIMIT_MS);
      this.process.on("exit", failed);
      this.process.on("error", failed);
      for (const output of [this.process.stdout, this.process.stderr]) {
        createInterface({ input: output }).on("line", (line) => {
          said.push(line);
          const found = /listening on ([^\s;,]+)/.exec(line);
          if (found) {
            clearTimeout(patience);
            this.address = found[1];
            resolve();
          }
        });
      }
    });
  }

  /** Ends it as an operator would (`SIGTERM`), or as a power failure would (`SIGKILL`). */
  async end(signal = "SIGKILL") {
    this.process.kill(signal);
    await this.ended;
  }

  async restart() {
    await this.end("SIGTERM");
    await this.begin();
  }

  async close() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.end();
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}
