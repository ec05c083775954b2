import { type ChildProcess, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '@renderyard/shared/store/store';
import { describe, expect, it } from 'vitest';
import { listKeysOf, readAll } from './bench.ts';
import { openDirectoryBench } from './directory-bench.ts';

/** Ends with us: it leaves when the channel between us is closed. */
function start(...args: readonly string[]): ChildProcess {
  return fork(new URL('./store-process.ts', import.meta.url), args, { execArgv: [] });
}

/** Whether an object that a `write` process has written is one version of it, whole. */
async function isWhole(store: Store, key: string): Promise<boolean> {
  const object = await store.get(key);
  if (object === undefined) return false;
  const n = Number(object.info.metadata.n);
  const bytes = Buffer.concat(await object.body.toArray());
  return (
    object.info.contentType === 'x/y' && bytes.equals(Buffer.alloc((key === 'same.bin' ? 2 ** 21 : 2 ** 20) + n, n))
  );
}

describe('a directory store that several processes use', () => {
  it('lets one of them create each object', async () => {
    await using bench = await openDirectoryBench();
    const names = ['one', 'two', 'three'];
    const processes = names.map((name) => start('claim', bench.directory, name));
    await Promise.all(processes.map((child) => once(child, 'message')));
    const keys = Array.from({ length: 60 }, (_, n) => `claims/${n % 10}/${n}`);
    const answers = processes.map((child) => once(child, 'message'));
    // Each begins elsewhere, or the one that is ahead at the first key may stay ahead to the last.
    const begins = names.map((_, i) => (i * keys.length) / names.length);
    for (const [i, child] of processes.entries()) child.send([...keys.slice(begins[i]), ...keys.slice(0, begins[i])]);
    const results = (await Promise.all(answers)).map(([answer], i) => {
      const inTurn = answer as string[];
      const begin = keys.length - (begins[i] ?? 0);
      return [...inTurn.slice(begin), ...inTurn.slice(0, begin)];
    });
    for (const child of processes) child.disconnect();
    await Promise.all(processes.map((child) => once(child, 'exit')));

    const winners = new Set<number>();
    for (const [i, key] of keys.entries()) {
      const mine = results.map((result) => result[i]);
      expect(mine.toSorted()).toEqual(['exists', 'exists', 'stored']);
      const winner = mine.indexOf('stored');
      winners.add(winner);
      expect((await readAll(bench.store, key)).toString()).toBe(names[winner]);
      expect((await bench.store.head(key))?.metadata).toEqual({ name: names[winner] });
    }
    expect(winners.size).toBeGreaterThan(1);
    const sidecars = await readdir(join(bench.directory, '.meta/claims'), { recursive: true });
    expect(sidecars.filter((file) => file.endsWith('.json'))).toHaveLength(keys.length);
    expect(await readdir(join(bench.directory, '.temp'))).toEqual([]);
  });

  it('shows whole objects only, whenever a writer is killed, and tidies up after it', async () => {
    await using bench = await openDirectoryBench();
    let reads = 0;
    let leftovers = 0;
    for (let round = 0; round < 6; round++) {
      const child = start('write', bench.directory);
      const exited = once(child, 'exit');
      await once(child, 'message');
      let running = true;
      const reader = (async () => {
        while (running) {
          expect(await isWhole(bench.store, 'same.bin')).toBe(true);
          reads++;
        }
      })();
      // When within a write it dies is left to chance; every write takes some milliseconds.
      await delay(randomInt(40));
      child.kill('SIGKILL');
      await exited;
      running = false;
      await reader;
      leftovers += (await readdir(join(bench.directory, '.temp'))).length;
      const keys = await listKeysOf(bench.store, '');
      expect(keys).toContain('same.bin');
      for (const key of keys) expect([key, await isWhole(bench.store, key)]).toEqual([key, true]);
      if (round % 2 === 0) await bench.store.delete(keys.filter((key) => key !== 'same.bin'));
    }
    expect(reads).toBeGreaterThan(0);
    expect(leftovers).toBeGreaterThan(0);

    await bench.again().check();
    expect(await readdir(join(bench.directory, '.temp'))).toEqual([]);
    const objects = await listKeysOf(bench.store, 'new/');
    const sidecars = await readdir(join(bench.directory, '.meta/new')).catch(() => []);
    expect(sidecars.map((file) => `new/${file.replace(/%.*/, '')}`).toSorted()).toEqual(objects);
  });
});
