import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Exposition } from '../operations/operations-server.ts';
import { VERSION } from '../version.ts';
import { allLabels, boundLabels, type Labels, type LabelValues } from './labels.ts';

/** A family of metrics. Names follow https://prometheus.io/docs/practices/naming: base units, counters end in `_total`. */
export interface Family<L extends string> {
  readonly name: `renderyard_${string}`;
  readonly help: string;
  readonly labels: LabelValues<L>;
}

/** Only grows, as long as the process runs. */
export interface CounterOf<L extends string> {
  add(labels: Labels<L>, by?: number): void;
}

export interface HistogramOf<L extends string> {
  observe(labels: Labels<L>, value: number): void;
}

export interface GaugeOf<L extends string> {
  set(labels: Labels<L>, value: number): void;
  /** From now on there is none of its series, until they are set again. */
  clear(): void;
}

/** The metrics of one process. Nothing of them is global: a test may have several. */
export interface Metrics {
  /** @param begins whether all of its series are there from the start, at 0, so that the first step is seen as one; true if left out. */
  counter<L extends string>(family: Family<L> & { readonly begins?: boolean }): CounterOf<L>;
  /** @param buckets upper bounds, ascending. */
  histogram<L extends string>(family: Family<L> & { readonly buckets: readonly number[] }): HistogramOf<L>;
  gauge<L extends string>(family: Family<L>): GaugeOf<L>;
  /** Has this run before each reading. It must not reject, and must end within the time of a scrape. */
  beforeReading(update: () => Promise<void> | void): void;
  /** What `GET /metrics` answers, in Prometheus's text format. */
  read(): Promise<Exposition>;
}

/**
 * @param options.ofProcess whether event loop, memory, garbage collection and handles of the process are told, too: by
 * one of them a process, as what watches these cannot be ended.
 */
export function createMetrics({
  service,
  ofProcess = false,
}: {
  readonly service: 'api' | 'worker';
  readonly ofProcess?: boolean;
}): Metrics {
  const registry = new Registry();
  const updates: (() => Promise<void> | void)[] = [];
  if (ofProcess) collectDefaultMetrics({ register: registry });
  const of = <L extends string>({ name, help, labels }: Family<L>) => ({
    name,
    help,
    labelNames: Object.keys(labels) as L[],
    registers: [registry],
  });
  const metrics: Metrics = {
    counter(family) {
      const counter = new Counter(of(family));
      if (family.begins !== false) for (const labels of allLabels(family.labels)) counter.inc(labels, 0);
      return { add: (labels, by = 1) => counter.inc(boundLabels(family.labels, labels), by) };
    },
    histogram(family) {
      const histogram = new Histogram({ ...of(family), buckets: [...family.buckets] });
      return { observe: (labels, value) => histogram.observe(boundLabels(family.labels, labels), value) };
    },
    gauge(family) {
      const gauge = new Gauge(of(family));
      const hasLabels = Object.keys(family.labels).length > 0;
      // prom-client begins a gauge without labels, and begins it again, at 0.
      const clear = () => (hasLabels ? gauge.reset() : gauge.remove());
      clear();
      return { set: (labels, value) => gauge.set(boundLabels(family.labels, labels), value), clear };
    },
    beforeReading: (update) => void updates.push(update),
    async read() {
      await Promise.all(updates.map((update) => update()));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
  metrics
    .gauge({
      name: 'renderyard_build_info',
      help: 'Always 1: which version of which service runs.',
      labels: { service: new Set([service]), version: new Set([VERSION]) },
    })
    .set({ service, version: VERSION }, 1);
  return metrics;
}
