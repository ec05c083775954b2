import { DiagLogLevel, diag, trace } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger } from '../logger.ts';
import { VERSION } from '../version.ts';
import type { TracingSettings } from './tracing-settings.ts';

/** A collector that is away fails every batch; it is told once in so many milliseconds. */
const SAME_COMPLAINT_MS = 60_000;

/**
 * Puts OpenTelemetry's SDK behind its API: all spans of the process go there from then on, in batches, in the background.
 * What finds no place in the queue, or no collector, is dropped.
 */
export function exportSpans({
  service,
  settings,
  logger,
}: {
  readonly service: string;
  readonly settings: TracingSettings;
  readonly logger: Logger;
}): { stop(): Promise<void> } {
  hearComplaints(logger);
  const exporter = settings.protocol === 'http/json' ? new JsonExporter() : new ProtobufExporter();
  const named = resourceFromAttributes({
    'service.name': `renderyard-${service}`,
    'service.version': VERSION,
    'service.instance.id': crypto.randomUUID(),
  });
  const provider = new TracerProvider({
    // What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say goes before our names.
    resource: defaultResource()
      .merge(named)
      .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })),
    sampler: samplerOf(settings),
    spanProcessors: [new BatchSpanProcessor({ exporter, ...settings.queue })],
  });
  trace.setGlobalTracerProvider(provider);
  return { stop: () => provider.shutdown() };
}

function samplerOf({ sampler, parentBased, ratio }: TracingSettings): Sampler {
  const root =
    sampler === 'always_on'
      ? new AlwaysOnSampler()
      : sampler === 'always_off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

function hearComplaints(logger: Logger): void {
  let toldAt = Number.NEGATIVE_INFINITY;
  const complain = (message: string, ...rest: unknown[]) => {
    const now = performance.now();
    if (now - toldAt < SAME_COMPLAINT_MS) return;
    toldAt = now;
    const about = rest.length === 0 ? {} : { about: rest.map(String).join(' ').slice(0, 500) };
    logger.warn({ said: message.slice(0, 500), ...about }, 'spans cannot be exported; what was not is dropped');
  };
  const silent = () => undefined;
  diag.setLogger(
    { error: complain, warn: complain, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
