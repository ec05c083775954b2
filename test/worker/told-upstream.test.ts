import { createLogger } from '@renderyard/shared/logger';
import { tellOfCredits } from '@renderyard/worker/credits/tell-of-credits';
import { expect, test } from 'vitest';
import { COST, openBench } from '../redis/bench.ts';

test('that the upstream is held for its failures, and no longer, is told once each over all workers', async () => {
  await using bench = await openBench();
  await bench.balance(100 * COST);
  const lines: { readonly level: number; readonly hold?: string; readonly msg: string }[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'info',
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  });
  const other = await bench.connect();
  const tellAll = async () => {
    lines.length = 0;
    for (const { ledger } of [bench, other, bench]) await tellOfCredits({ ledger, logger });
    return lines.filter(({ hold }) => hold === 'upstream').map(({ level, msg }) => [level, msg]);
  };
  expect(await tellAll()).toEqual([]);

  const open = await bench.call();
  for (let calls = 0; calls < 3; calls++)
    await bench.end(await bench.call(), {
      status: 'failed',
      error: { code: 'upstream_failed', detail: '' },
      incident: true,
      settlement: { kind: 'uncertain', how: 'timeout' },
    });
  const held = [40, expect.stringContaining('Several calls in a row got no answer')];
  expect((await bench.books()).holds.map(({ name }) => name)).toEqual(['upstream']);
  expect(await tellAll()).toEqual([held]);
  await bench.end(open);
  expect((await bench.books()).holds).toEqual([]);
  expect(await tellAll()).toEqual([[30, 'the hold for the upstream has ended']]);
  expect(await tellAll()).toEqual([]);
});
