import {
  create,
  type EndpointChange,
  remove,
  rotate,
  set,
  validSecrets,
} from '@renderyard/api/webhooks/endpoint-changes';
import { type Endpoint, MOST_ENDPOINTS, MOST_SECRETS } from '@renderyard/shared/webhook/endpoint';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const HOUR = 3_600_000;
const ids = Array.from({ length: MOST_ENDPOINTS + 2 }, (_, i) => `whk_${i}`);
const anyId = fc.constantFrom(...ids);
const anyPatch = fc.record(
  {
    url: fc.webUrl(),
    events: fc.constantFrom(null, ['job.failed'] as const),
    description: fc.option(fc.string()),
    state: fc.constantFrom('enabled' as const, 'disabled' as const),
  },
  { requiredKeys: [] },
);
const anyChange = fc.oneof(
  {
    weight: 3,
    arbitrary: anyId.map((id) => create(id, { url: 'https://a.example/', events: null, description: null }, `${id} 0`)),
  },
  { weight: 2, arbitrary: fc.tuple(anyId, anyPatch).map(([id, patch]) => set(id, patch)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(anyId, fc.uuid(), fc.integer({ min: 0, max: 168 }))
      .map(([id, request, overlapHours]) => rotate(id, { request, sealed: request, overlapHours })),
  },
  { weight: 1, arbitrary: anyId.map(remove) },
);

test('whatever is changed, endpoints and their secrets stay in order and within their bounds', () => {
  const step = fc.tuple(anyChange, fc.integer({ min: 0, max: 50 * HOUR }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let endpoints: readonly Endpoint[] = [];
      let now = 1_000_000;
      for (const [change, later] of steps) {
        now += later + 1;
        endpoints = tried(change, endpoints, now);
        expect(endpoints.length).toBeLessThanOrEqual(MOST_ENDPOINTS);
        expect(new Set(endpoints.map(({ id }) => id)).size).toBe(endpoints.length);
        for (const endpoint of endpoints) checkOne(endpoint, now);
      }
    }),
    { numRuns: 200 },
  );
});

/** The endpoints after a change; as they were where it is refused, or changes nothing. */
function tried(change: EndpointChange, endpoints: readonly Endpoint[], now: number): readonly Endpoint[] {
  try {
    const outcome = change({ endpoints, now });
    if (outcome === undefined) return endpoints;
    expect(outcome.changes.length).toBeGreaterThan(0);
    expect(JSON.stringify(outcome.changes)).not.toContain('sealed');
    return outcome.endpoints;
  } catch (error) {
    expect(error).toMatchObject({ name: 'ProblemError' });
    return endpoints;
  }
}

function checkOne(endpoint: Endpoint, now: number): void {
  expect(endpoint.disabled === null).toBe(endpoint.state === 'enabled');
  const valid = validSecrets(endpoint, now);
  expect(valid.length).toBeGreaterThan(0);
  expect(valid.length).toBeLessThanOrEqual(MOST_SECRETS);
  expect(valid[0]).toBe(endpoint.secrets[0]);
  // One signs for ever, the others end, and none is older than the one behind it.
  expect(endpoint.secrets.map(({ expires_at }) => expires_at === null)).toEqual(
    endpoint.secrets.map((_, i) => i === 0),
  );
  const made = endpoint.secrets.map(({ created_at }) => created_at);
  expect(made).toEqual(made.toSorted((a, b) => b - a));
}

test('a secret that was rotated out never signs for longer than any later overlap says', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 168 }), { minLength: 1, maxLength: 4 }), (overlaps) => {
      const now = 1_000_000;
      let endpoints = tried(
        create('whk_0', { url: 'https://a.example/', events: null, description: null }, 's'),
        [],
        now,
      );
      for (const [i, overlapHours] of overlaps.entries())
        endpoints = tried(rotate('whk_0', { request: `r${i}`, sealed: `s${i}`, overlapHours }), endpoints, now);
      const first = endpoints[0]?.secrets.find(({ sealed }) => sealed === 's');
      const shortest = Math.min(...overlaps);
      expect(first?.expires_at ?? null).toBe(shortest === 0 ? null : now + shortest * HOUR);
    }),
  );
});
