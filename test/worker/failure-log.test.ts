import type { Clock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { createFailureLog } from '@renderyard/worker/maintenance/failure-log';
import { expect, test } from 'vitest';

function open({ ensure = async () => {} }: { readonly ensure?: () => Promise<void> } = {}) {
  const told: unknown[] = [];
  const at = { seconds: 0 };
  const clock: Clock = { now: () => at.seconds * 1000, sleep: async () => {} };
  const destination = {
    write: (line: string) => {
      const { msg, times, err } = JSON.parse(line);
      told.push([
        at.seconds,
        msg,
        ...(err === undefined ? [] : [err.message]),
        ...(times === undefined ? [] : [times]),
      ]);
    },
  };
  const log = createFailureLog({
    recovery: { ensure },
    clock,
    logger: createLogger({ service: 'test', level: 'info', destination }),
  });
  return { ...log, told, at };
}

const FAILED = 'upkeep failed and is tried again';

test('what all loops fail with is told at once, then once a minute with how often it came, and once when it is over', async () => {
  const { onError, onRound, told, at } = open();
  for (; at.seconds < 130; at.seconds++)
    for (let loop = 0; loop < 10; loop++)
      await onError(new Error(`WRONGPASS invalid username-password pair, script: ${loop}`));
  for (; at.seconds < 200; at.seconds++) onRound();
  expect(told.map((each) => (each as unknown[]).filter((_, i) => i !== 2 || (each as unknown[]).length < 4))).toEqual([
    [0, FAILED, expect.stringContaining('WRONGPASS')],
    [60, FAILED, 600],
    [120, FAILED, 600],
    [139, 'upkeep works again', 99],
  ]);
});

test('what fails from time to time is told no more than once a minute', async () => {
  const { onError, onRound, told, at } = open();
  for (; at.seconds < 119; at.seconds++) {
    if (at.seconds % 20 === 0) await onError(new Error('EIO'));
    else onRound();
  }
  expect(told.filter((each) => (each as unknown[])[1] === FAILED)).toHaveLength(2);
  expect(told).toHaveLength(4);
});

test('distinct matters are told apart, and are one where only their ids and numbers differ', async () => {
  const { onError, told } = open();
  const id = (end: string) => `job_01k5e0000000000000000000${end}`;
  await onError(new Error(`${id('a1')} is gone after 12 ms`));
  await onError(new Error(`${id('b2')} is gone after 13 ms`));
  await onError(Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' }));
  await onError(Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:2'), { code: 'ECONNREFUSED' }));
  await onError(new Error('ERR one thing'));
  await onError(new Error('ERR another thing'));
  expect(told).toHaveLength(4);
});

test('nothing is told of an emptied Redis but that it cannot be rebuilt, and that once', async () => {
  const rebuilt = open();
  await rebuilt.onError(new GenerationLostError('gone'));
  expect(rebuilt.told).toEqual([]);
  const away = open({ ensure: () => Promise.reject(new Error('The store is away.')) });
  for (let loop = 0; loop < 3; loop++) await away.onError(new GenerationLostError('gone'));
  expect(away.told).toEqual([[0, 'upkeep cannot recover yet', 'The store is away.']]);
});
