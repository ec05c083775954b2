import { EventEmitter } from 'node:events';
import { endOnSignals } from '@renderyard/shared/end-on-signals';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import { createLogger } from '@renderyard/shared/logger';
import { orAborted } from '@renderyard/shared/or-aborted';
import { startStoppable } from '@renderyard/shared/start-stoppable';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const logger = createLogger({ service: 'test', level: 'silent' });

/** A process that notes with which codes it was to exit, and goes on. */
function fakeProcess() {
  const exits: number[] = [];
  const emitter = new EventEmitter();
  return {
    exits,
    emit: (signal: string) => emitter.emit(signal),
    count: () => emitter.eventNames().length,
    on: (event: string, listener: (...args: never[]) => void) => emitter.on(event, listener as () => void),
    off: (event: string, listener: () => void) => emitter.off(event, listener),
    exit: (code: number) => void exits.push(code),
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a service that was started', () => {
  it('is given back, and its phases run when the process is told to stop', async () => {
    const process = fakeProcess();
    const stop = vi.fn();
    const phase: StopPhase = { name: 'close', deadlineMs: 500, stop };
    const service = { phases: () => [phase] };
    expect(await startStoppable({ start: async () => service, logger, process })).toBe(service);
    process.emit('SIGTERM');
    await vi.advanceTimersByTimeAsync(0);
    expect(stop).toHaveBeenCalledOnce();
    expect(process.exits).toEqual([0]);
  });

  it('that cannot start throws why, and nothing exits', async () => {
    const process = fakeProcess();
    const start = () => Promise.reject(new Error('no Redis'));
    await expect(startStoppable({ start, logger, process })).rejects.toThrow('no Redis');
    expect(process.exits).toEqual([]);
  });
});

describe('a process that is told to stop while it starts', () => {
  it('ends the start by its signal, and exits with 0', async () => {
    const process = fakeProcess();
    const starting = startStoppable({
      start: (signal) => orAborted(new Promise<never>(() => undefined), signal),
      logger,
      process,
    });
    process.emit('SIGTERM');
    expect(await starting).toBeUndefined();
    await vi.advanceTimersByTimeAsync(0);
    expect(process.exits).toEqual([0]);
  });

  it('stops what the start has come to meanwhile', async () => {
    const process = fakeProcess();
    const stop = vi.fn();
    const starting = startStoppable({
      start: async (signal) => {
        await orAborted(new Promise<never>(() => undefined), signal).catch(() => undefined);
        return { phases: () => [{ name: 'close', deadlineMs: 500, stop }] };
      },
      logger,
      process,
    });
    process.emit('SIGTERM');
    expect(await starting).toBeUndefined();
    await vi.advanceTimersByTimeAsync(0);
    expect(stop).toHaveBeenCalledOnce();
    expect(process.exits).toEqual([0]);
  });

  it('gives up a start that does not end within 1.5 s', async () => {
    const process = fakeProcess();
    void startStoppable({ start: () => new Promise<never>(() => undefined), logger, process });
    process.emit('SIGTERM');
    await vi.advanceTimersByTimeAsync(1499);
    expect(process.exits).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(process.exits).toEqual([0]);
  });
});

describe('a process that has nothing to bring to an end yet', () => {
  it.each(['SIGTERM', 'SIGINT'])('exits with 0 at %s', (signal) => {
    const process = fakeProcess();
    endOnSignals(process);
    process.emit(signal);
    expect(process.exits).toEqual([0]);
  });

  it('hands its signals over', () => {
    const process = fakeProcess();
    const handOver = endOnSignals(process);
    expect(process.count()).toBe(2);
    handOver();
    expect(process.count()).toBe(0);
  });
});

describe('orAborted', () => {
  it('gives and throws what the promise does, and leaves no listener behind', async () => {
    const { signal } = new AbortController();
    const removed = vi.spyOn(signal, 'removeEventListener');
    expect(await orAborted(Promise.resolve(1), signal)).toBe(1);
    await expect(orAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken');
    expect(removed).toHaveBeenCalledTimes(2);
  });

  it('throws the reason of a signal that has aborted before', async () => {
    await expect(orAborted(Promise.resolve(1), AbortSignal.abort('over'))).rejects.toBe('over');
  });
});
