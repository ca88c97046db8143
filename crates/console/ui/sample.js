// A few events to look at in an empty store: an order, its payment and its parcel, over three days. Fetched when asked for.
import { api } from './core.js';

const CORRELATION = 'order-1001';

/** Streams with their events: each names the one that caused it, so that correlations have something to draw. */
export function sampleWrites(now = Date.now(), id = () => crypto.randomUUID()) {
  const streams = new Map();
  let at = now - 3 * 86_400_000;
  const add = (stream, type, data, { after = null, minutes = 5, actor = 'shop' } = {}) => {
    at += minutes * 60_000;
    const event = { id: id(), type, data, correlationId: CORRELATION, ...(after ? { causationId: after } : {}), occurredTime: new Date(at).toISOString(), metadata: { actor } };
    if (!streams.has(stream)) streams.set(stream, []);
    streams.get(stream).push(event);
    return event.id;
  };
  const placed = add('order-1001', 'OrderPlaced', { customer: 'c-7', currency: 'EUR', total: 120.5, lines: [{ sku: 'A-17', quantity: 2, price: 49.5 }, { sku: 'B-3', quantity: 1, price: 21.5 }], address: { city: 'Lyon', zip: '69001' } });
  const requested = add('payment-501', 'PaymentRequested', { order: 'order-1001', amount: 120.5, status: 'requested' }, { after: placed, minutes: 1 });
  const refused = add('payment-501', 'PaymentRefused', { status: 'refused', why: 'the card has expired' }, { after: requested, minutes: 2, actor: 'bank' });
  add('order-1001', 'PaymentFailed', { status: 'waiting for payment' }, { after: refused, minutes: 1 });
  const again = add('payment-501', 'PaymentRequested', { amount: 120.5, status: 'requested', why: null }, { after: refused, minutes: 190 });
  const captured = add('payment-501', 'PaymentCaptured', { status: 'captured' }, { after: again, minutes: 1, actor: 'bank' });
  const paid = add('order-1001', 'OrderPaid', { status: 'paid' }, { after: captured, minutes: 1 });
  add('order-1001', 'AddressChanged', { address: { city: 'Paris', zip: '75011' } }, { minutes: 55, actor: 'c-7' });
  const packed = add('parcel-88', 'ParcelPacked', { order: 'order-1001', weight: 1.4, status: 'packed' }, { after: paid, minutes: 400, actor: 'warehouse' });
  const sent = add('parcel-88', 'ParcelSent', { status: 'on its way', carrier: 'post' }, { after: packed, minutes: 120, actor: 'warehouse' });
  const delivered = add('parcel-88', 'ParcelDelivered', { status: 'delivered' }, { after: sent, minutes: 1900, actor: 'post' });
  add('order-1001', 'OrderCompleted', { status: 'completed' }, { after: delivered, minutes: 1 });
  return [...streams].map(([stream, events]) => ({ stream, expected: 'noStream', events }));
}

/** Appends them all at once, or nothing: streams of those names must not be there. Gives their names. */
export async function loadSample() {
  const done = await api('/v1/append', { method: 'POST', body: { writes: sampleWrites() } });
  return done.streams.map(one => one.stream);
}
