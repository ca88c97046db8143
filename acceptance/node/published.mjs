// Which of the two published Node clients is under test, and what do they name alike?
//
// `@kurrent/kurrentdb-client` and its predecessor `@eventstore/db-client` speak one protocol. FACTUM_CLIENT names one.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

export const NAMES = ["@kurrent/kurrentdb-client", "@eventstore/db-client"];
const name = process.env.FACTUM_CLIENT || NAMES[0];
// The packages are installed beside the build's other output, not beside the tests.
const require = createRequire(process.env.FACTUM_NODE_MODULES || import.meta.url);

export const isCurrent = name === NAMES[0];
export const lib = require(name);
export const scheme = isCurrent ? "kurrentdb" : "esdb";
const Client = lib.KurrentDBClient ?? lib.EventStoreDBClient;
export const { ErrorType, START, END, ANY, NO_STREAM, STREAM_EXISTS, FORWARDS, BACKWARDS } = lib;

export const connect = (server, options = "") =>
  Client.connectionString`${`${scheme}://${server.address}?tls=false${options}`}`;

export const connectTo = (uri) => Client.connectionString`${uri}`;

let count = 0;
export const event = (type = "Deposited", more = {}) => lib.jsonEvent({ type, data: { n: count++ }, ...more });
export const events = (n, type) => Array.from({ length: n }, () => event(type));
export const stream = (category = "account") => `${category}-${randomUUID()}`;

/** What is expected of a stream, under the names of both clients. */
export const expecting = (state, more = {}) => ({ streamState: state, expectedRevision: state, ...more });

export const collect = async (read) => {
  const all = [];
  for await (const one of read) all.push(one);
  return all;
};

export const revisions = (read) => read.map(({ event }) => Number(event.revision));

/** The first `n` events of a subscription; it is left then. */
export const take = async (subscription, n) => {
  const taken = [];
  if (n > 0) {
    for await (const one of subscription) {
      taken.push(one);
      if (taken.length === n) break;
    }
  }
  return taken;
};

/** For `assert.rejects`: an error of this class of the client's. */
export const ofType = (type) => (error) => {
  if (error.type !== type) throw new Error(`an error of type ${type}, not ${error.type}: ${error.stack}`);
  return true;
};
