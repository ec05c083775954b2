import { EventEmitter } from 'node:events';
import { createLifecycle, type StopPhase } from '@renderyard/shared/lifecycle';
import { createLogger } from '@renderyard/shared/logger';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** A process that notes its exits, and the lines that were logged. */
function start(phases: readonly StopPhase[] | (() => readonly StopPhase[])) {
  const lines: Record<string, unknown>[] = [];
  const exits: number[] = [];
  const process = new EventEmitter();
  const logger = createLogger({
    service: 'test',
    level: 'info',
    destination: { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const lifecycle = createLifecycle({
    phases: typeof phases === 'function' ? phases : () => phases,
    logger,
    process: {
      on: (event, listener) => process.on(event, listener as () => void),
      exit: (code) => void exits.push(code),
    },
  });
  return { lifecycle, process, exits, lines };
}

const never = () => new Promise<never>(() => undefined);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('stop', () => {
  it('runs the phases one after the other, in their order', async () => {
    const steps: string[] = [];
    const phase = (name: string): StopPhase => ({
      name,
      deadlineMs: 1000,
      stop: async () => {
        steps.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 100));
        steps.push(`${name} ends`);
      },
    });
    const { lifecycle } = start([phase('a'), phase('b')]);
    expect(lifecycle.stopping).toBe(false);
    const stopped = lifecycle.stop('test');
    expect(lifecycle.stopping).toBe(true);
    await vi.advanceTimersByTimeAsync(200);
    await stopped;
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('gives a phase up at its deadline, says which, and goes on with the next', async () => {
    const second = vi.fn();
    const { lifecycle, lines } = start([
      { name: 'hangs', deadlineMs: 500, stop: never },
      { name: 'second', deadlineMs: 500, stop: second },
    ]);
    const stopped = lifecycle.stop('test');
    await vi.advanceTimersByTimeAsync(499);
    expect(second).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await stopped;
    expect(second).toHaveBeenCalledOnce();
    expect(lines).toContainEqual(expect.objectContaining({ phase: 'hangs', deadline_ms: 500 }));
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
  ])('goes on after a phase that %s', async (_, stop: () => Promise<never>) => {
    const second = vi.fn();
    const { lifecycle, lines } = start([
      { name: 'first', deadlineMs: 500, stop },
      { name: 'second', deadlineMs: 500, stop: second },
    ]);
    await lifecycle.stop('test');
    expect(second).toHaveBeenCalledOnce();
    expect(lines).toContainEqual(
      expect.objectContaining({ phase: 'first', err: expect.objectContaining({ message: 'broken' }) }),
    );
  });

  it('is not disturbed by a phase that rejects after it was given up', async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown) => rejections.push(reason);
    process.on('unhandledRejection', note);
    try {
      const { lifecycle } = start([
        {
          name: 'late',
          deadlineMs: 10,
          stop: () => new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 50)),
        },
      ]);
      const stopped = lifecycle.stop('test');
      await vi.advanceTimersByTimeAsync(100);
      await stopped;
      vi.useRealTimers();
      await new Promise((resolve) => setImmediate(resolve));
      expect(rejections).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('leaves no timer behind', async () => {
    const { lifecycle } = start([{ name: 'quick', deadlineMs: 60_000, stop: () => undefined }]);
    await lifecycle.stop('test');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('runs once, however often it is asked', async () => {
    const stop = vi.fn();
    const { lifecycle } = start([{ name: 'once', deadlineMs: 500, stop }]);
    const first = lifecycle.stop('one');
    expect(lifecycle.stop('two')).toBe(first);
    await first;
    expect(stop).toHaveBeenCalledOnce();
  });
});

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT', 'disconnect'])('%s stops and exits with 0', async (signal) => {
    const stop = vi.fn();
    const { process, exits } = start([{ name: 'once', deadlineMs: 500, stop }]);
    process.emit(signal);
    await vi.advanceTimersByTimeAsync(0);
    expect(stop).toHaveBeenCalledOnce();
    expect(exits).toEqual([0]);
  });

  it('that npm passes on within 750 ms is the same one', async () => {
    const { process, exits } = start([{ name: 'slow', deadlineMs: 5000, stop: never }]);
    process.emit('SIGINT');
    await vi.advanceTimersByTimeAsync(750);
    process.emit('SIGINT');
    expect(exits).toEqual([]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(exits).toEqual([0]);
  });

  it('that comes a second time exits at once, with 1', async () => {
    const { process, exits } = start([{ name: 'slow', deadlineMs: 5000, stop: never }]);
    process.emit('SIGINT');
    await vi.advanceTimersByTimeAsync(751);
    process.emit('SIGTERM');
    expect(exits).toEqual([1]);
  });

  it('exits with 1 when what is to be stopped cannot be told', async () => {
    const { process, exits } = start(() => {
      throw new Error('no phases');
    });
    process.emit('SIGTERM');
    await vi.advanceTimersByTimeAsync(0);
    expect(exits).toEqual([1]);
  });
});
