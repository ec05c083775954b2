import { type Clock, systemClock } from '@renderyard/shared/clock';
import { createPainter } from '@renderyard/simulator/image/painter';
import { createUpstream } from '@renderyard/simulator/upstream';
import { createWorld } from '@renderyard/simulator/world';
import { expect, test } from 'vitest';
import { serve } from './serve.ts';
import { KEY, MODEL, SMALL } from './simulate.ts';

/** A pause that this clock fails at, which stands for any failure inside the simulator. */
const FAILING_MS = 77;
const clock: Clock = {
  now: systemClock.now,
  sleep: (ms, signal) =>
    ms === FAILING_MS ? Promise.reject(new Error('the clock broke')) : systemClock.sleep(ms, signal),
};

test('a failure after billing is answered with 500, and the ledger says that no image went out', async () => {
  const effect = { kind: 'none', delay_after_billing_ms: FAILING_MS } as const;
  const world = createWorld({ faults: [{ effect }] }, clock);
  const upstream = createUpstream({ world: () => world, clock, painter: createPainter() });
  let ended: Promise<void> | undefined;
  const url = await serve((request, response) => {
    ended = upstream(request, response);
  });
  const response = await fetch(`${url}/v1/${MODEL}`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: JSON.stringify({ ...SMALL, prompt: 'x' }),
  });
  await ended;
  expect(response.status).toBe(500);
  expect(world.billed.count).toBe(1);
  expect(world.calls.page(0, 9)).toMatchObject([{ status: 500, end: 'whole' }]);
  expect(world.ledger.page(0, 9)).toMatchObject([{ end: 'replaced' }]);
});
