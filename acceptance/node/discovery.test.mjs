// How clients find the server, and what they learn of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { collect, connectTo, event, scheme, stream } from "./published.mjs";
import { Server } from "./serving.mjs";

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.close());

for (const [how, uri] of [
  ["one address", (address) => `${scheme}://${address}?tls=false`],
  ["gossip", (address) => `${scheme}://${address},${address}?tls=false`],
  ["credentials that nobody asked for", (address) => `${scheme}://somebody:wrong@${address}?tls=false`],
]) {
  test(`a client connects by ${how}`, async () => {
    const client = connectTo(uri(server.address));
    const name = stream();
    await client.appendToStream(name, event());
    assert.equal((await collect(client.readStream(name))).length, 1);
    const { serverVersion } = (await client.capabilities) ?? {};
    assert.ok(serverVersion === undefined || /^\d+\.\d+\.\d+$/.test(String(serverVersion)));
    await client.dispose();
  });
}

test("the port answers plain HTTP too", async () => {
  const ask = (path) => fetch(`http://${server.address}${path}`);
  assert.equal((await ask("/health/live")).status, 204);
  assert.equal((await ask("/health/live?liveCode=200")).status, 200);
  assert.deepEqual(await (await ask("/ping")).json(), { text: "Ping request successfully handled" });
  const info = await (await ask("/info")).json();
  assert.match(info.dbVersion ?? info.esVersion, /^26\./);
  const { members } = await (await ask("/gossip")).json();
  assert.equal(members.length, 1);
  assert.equal(`${members[0].httpEndPointIp}:${members[0].httpEndPointPort}`, server.address);
});
