import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { findPrometheus } from '../support/prometheus.ts';
import { addWebhook, FAULTS } from './faults.ts';
import { shortenRules } from './shortened-rules.ts';
import { BREAKING, startWatched, type Watched, WORKING } from './watched.ts';

const START_MS = 180_000;
const FAULT_MS = 90_000;

/** The tests go on where the one before ended: two installations and their Prometheus start once for all. */
describe('a Prometheus that watches real installations', async () => {
  const found = await findPrometheus();
  if ('missing' in found) {
    test.skip(`is not here: ${found.missing}`);
    return;
  }
  const rules = await readFile(join(REPOSITORY, 'deploy/prometheus/alerts.yml'), 'utf8');
  let watched: Watched;
  beforeAll(async () => {
    watched = await startWatched(found.programs, shortenRules(rules, { figures: false, memory: false }));
  }, START_MS);
  afterAll(() => watched?.[Symbol.asyncDispose]());

  test('tells nobody of anything while all is well', { timeout: FAULT_MS }, async () => {
    const { working, breaking, prometheus, receiver } = watched;
    const since = Date.now();
    const removeWebhook = await addWebhook(working, `${receiver.url}/hook`);
    await working.ended(await working.submit(['a', 'b', 'c']));
    await working.batchEnded((await working.upload('prompt\nd\ne\nf\n')).id);
    await breaking.ended(await breaking.submit(['a']));
    await working.until('it was told', async () => receiver.arrivals.length >= 3);
    await removeWebhook();
    const done = Date.now() / 1000;
    const targets = 'up{job=~"renderyard.*"}';
    await working.until('each process was read twice since', async () => {
      const [all, read] = [
        await prometheus.query(targets),
        await prometheus.query(`timestamp(${targets}) > ${done + 2}`),
      ];
      return all.length === 5 && read.length === 5;
    });
    // A machine that runs other tests beside this one is slow itself.
    const told = [...(await watched.fired(WORKING, since)), ...(await watched.fired(BREAKING, since))];
    expect(told.filter((alert) => alert !== 'RenderyardEventLoopSlow')).toEqual([]);
    await prometheus.replaceRules(shortenRules(rules, { figures: true, memory: false }));
  });

  test.each(FAULTS)('tells of it when $name', { timeout: FAULT_MS }, async ({ job, alerts, begin }) => {
    const since = Date.now();
    const end = await begin(watched);
    await watched.untilFired(job, alerts, since);
    await end();
  });

  test('tells of a process that takes more memory than it should', { timeout: FAULT_MS }, async () => {
    const since = Date.now();
    await watched.prometheus.replaceRules(shortenRules(rules, { figures: true, memory: true }));
    await watched.untilFired(WORKING, ['RenderyardMemoryHigh'], since);
  });

  test('has told of everything that there are rules for', async () => {
    const known = (await watched.prometheus.rules()).map(({ name }) => name);
    const told = new Set([...FAULTS.flatMap(({ alerts }) => alerts), 'RenderyardMemoryHigh']);
    expect([...told].sort()).toEqual(known.sort());
  });
});
