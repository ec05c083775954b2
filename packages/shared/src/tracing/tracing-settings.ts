import type { Environment } from '../settings.ts';

/** Which traces are kept: the standard names of `OTEL_TRACES_SAMPLER`. */
const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const;

/** What the standard variables of OpenTelemetry say that its packages do not read themselves. */
export interface TracingSettings {
  readonly protocol: 'http/protobuf' | 'http/json';
  readonly sampler: (typeof SAMPLERS)[number];
  /** Whoever has begun a trace has decided. */
  readonly parentBased: boolean;
  /** From 0 to 1, of `traceidratio`. */
  readonly ratio: number;
  /** `OTEL_BSP_*`: of the queue of spans; times in milliseconds. */
  readonly queue: {
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
  };
  /** What is set and not understood, in sentences: it is passed over, as the standard asks. */
  readonly warnings: readonly string[];
}

/**
 * Reads the standard variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
 * Tracing is on when an exporter or an endpoint is named, and `OTEL_SDK_DISABLED` is not true.
 * @returns undefined when it is off, and the warnings if there are any.
 */
export function readTracingSettings(env: Environment): TracingSettings | { readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const get = (name: string) => env[name]?.trim() || undefined;
  const exporter = get('OTEL_TRACES_EXPORTER')?.toLowerCase();
  const endpoint = get('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? get('OTEL_EXPORTER_OTLP_ENDPOINT');
  if (get('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporter === 'none') return { warnings };
  if (exporter === undefined && endpoint === undefined) return { warnings };
  if (exporter !== undefined && exporter !== 'otlp')
    return { warnings: [`OTEL_TRACES_EXPORTER must be otlp or none, but is ${quote(exporter)}; nothing is traced.`] };

  const protocolName = get('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? get('OTEL_EXPORTER_OTLP_PROTOCOL');
  if (protocolName !== undefined && !/^http\/(protobuf|json)$/.test(protocolName))
    warnings.push(
      `OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json, but is ${quote(protocolName)}; http/protobuf is used.`,
    );

  const samplerName = get('OTEL_TRACES_SAMPLER')?.toLowerCase() ?? 'parentbased_always_on';
  const sampler = SAMPLERS.find((name) => name === samplerName.replace(/^parentbased_/, ''));
  if (sampler === undefined)
    warnings.push(`OTEL_TRACES_SAMPLER is ${quote(samplerName)}, which is not known; parentbased_always_on is used.`);

  const number = (name: string, fallback: number, { least, most }: { least: number; most: number }) => {
    const text = get(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (Number.isFinite(value) && value >= least && value <= most) return value;
    warnings.push(`${name} must be a number from ${least} to ${most}, but is ${quote(text)}; ${fallback} is used.`);
    return fallback;
  };
  const maxQueueSize = number('OTEL_BSP_MAX_QUEUE_SIZE', 2048, { least: 1, most: 1_000_000 });
  return {
    protocol: protocolName === 'http/json' ? 'http/json' : 'http/protobuf',
    sampler: sampler ?? 'always_on',
    parentBased: sampler === undefined || samplerName.startsWith('parentbased_'),
    ratio: number('OTEL_TRACES_SAMPLER_ARG', 1, { least: 0, most: 1 }),
    queue: {
      scheduledDelayMillis: number('OTEL_BSP_SCHEDULE_DELAY', 5000, { least: 1, most: 3_600_000 }),
      exportTimeoutMillis: number('OTEL_BSP_EXPORT_TIMEOUT', 30_000, { least: 1, most: 3_600_000 }),
      maxQueueSize,
      maxExportBatchSize: number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', Math.min(512, maxQueueSize), {
        least: 1,
        most: maxQueueSize,
      }),
    },
    warnings,
  };
}

const quote = (text: string) => JSON.stringify(text.slice(0, 80));
