import type { Store } from '../store/store.ts';
import { STORE_ERROR_KINDS, StoreError } from '../store/store-error.ts';
import type { HistogramOf, Metrics } from './metrics.ts';

/** A folder answers in a millisecond, a bucket in some dozens, and gives up after some seconds. */
const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const OPERATIONS = ['put', 'get', 'head', 'list', 'delete', 'check'] as const;
/** `ended`: by the caller's own signal, or by the one who took no more of a listing. */
const OUTCOMES = ['ok', 'ended', ...STORE_ERROR_KINDS] as const;

export type StoreTimes = HistogramOf<'operation' | 'outcome'>;

/** The family of {@link measuredStore}: one of a process, however many stores it opens. */
export function createStoreTimes(metrics: Metrics): StoreTimes {
  return metrics.histogram({
    name: 'renderyard_store_operation_duration_seconds',
    help: 'How long the store took, its own repetitions included; to the first byte of a get, to the first of a list.',
    labels: { operation: new Set<string>(OPERATIONS), outcome: new Set<string>(OUTCOMES) },
    buckets: SECONDS,
  });
}

/** The same store, with what it does timed. Links are left out: making one asks nobody. */
export function measuredStore(store: Store, times: StoreTimes): Store {
  function begin(operation: (typeof OPERATIONS)[number]): (outcome: (typeof OUTCOMES)[number]) => void {
    const began = performance.now();
    return (outcome) => times.observe({ operation, outcome }, (performance.now() - began) / 1000);
  }
  const timed =
    <A extends readonly unknown[], R>(operation: (typeof OPERATIONS)[number], run: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const end = begin(operation);
      try {
        const result = await run(...args);
        end('ok');
        return result;
      } catch (error) {
        end(outcomeOf(error));
        throw error;
      }
    };
  async function* list(...args: Parameters<Store['list']>): ReturnType<Store['list']> & AsyncGenerator {
    let end: ReturnType<typeof begin> | undefined = begin('list');
    const endOnce = (outcome: (typeof OUTCOMES)[number]) => {
      end?.(outcome);
      end = undefined;
    };
    try {
      for await (const each of store.list(...args)) {
        endOnce('ok');
        yield each;
      }
      endOnce('ok');
    } catch (error) {
      endOnce(outcomeOf(error));
      throw error;
    }
  }
  return {
    ...store,
    put: timed('put', store.put),
    get: timed('get', store.get),
    head: timed('head', store.head),
    list,
    delete: timed('delete', store.delete),
    check: timed('check', store.check),
  };
}

function outcomeOf(error: unknown): (typeof OUTCOMES)[number] {
  return error instanceof StoreError ? error.kind : 'ended';
}
