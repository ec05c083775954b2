import { parseTraceparent } from '@renderyard/shared/tracing/spans';
import { readTracingSettings } from '@renderyard/shared/tracing/tracing-settings';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const ON = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

describe('the standard variables', () => {
  test.each([
    ['always_on', { sampler: 'always_on', parentBased: false }],
    ['always_off', { sampler: 'always_off', parentBased: false }],
    ['traceidratio', { sampler: 'traceidratio', parentBased: false, ratio: 0.25 }],
    ['parentbased_always_off', { sampler: 'always_off', parentBased: true }],
    ['parentbased_traceidratio', { sampler: 'traceidratio', parentBased: true, ratio: 0.25 }],
    ['', { sampler: 'always_on', parentBased: true }],
  ])('take %j as the sampler', (name, expected) => {
    const env = { ...ON, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0.25' };
    expect(readTracingSettings(env)).toMatchObject({ ...expected, warnings: [] });
  });

  test('of the traces alone go before those of all signals', () => {
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' };
    expect(readTracingSettings({ ...ON, ...env })).toMatchObject({ protocol: 'http/json', warnings: [] });
  });

  test.each([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'http/protobuf is used', { protocol: 'http/protobuf' }],
    [{ OTEL_TRACES_SAMPLER: 'xray' }, 'parentbased_always_on is used', { sampler: 'always_on', parentBased: true }],
    [{ OTEL_TRACES_SAMPLER_ARG: '2' }, '1 is used', { ratio: 1 }],
    [{ OTEL_BSP_SCHEDULE_DELAY: 'soon' }, '5000 is used', { queue: { scheduledDelayMillis: 5000 } }],
    [
      { OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '11' },
      '10 is used',
      { queue: { maxExportBatchSize: 10 } },
    ],
  ])('that are not understood are passed over with a warning: %j', (env, warning, expected) => {
    const settings = readTracingSettings({ ...ON, ...env });
    expect(settings.warnings).toEqual([expect.stringContaining(warning)]);
    expect(settings.warnings[0]).toContain(Object.keys(env).at(-1));
    expect(settings).toMatchObject(expected);
  });

  test('turn tracing on only together', () => {
    expect(readTracingSettings({})).toEqual({ warnings: [] });
    expect(readTracingSettings({ OTEL_TRACES_SAMPLER: 'always_on' })).toEqual({ warnings: [] });
    expect(readTracingSettings({ ...ON, OTEL_SDK_DISABLED: 'TRUE' })).toEqual({ warnings: [] });
    expect(readTracingSettings({ ...ON, OTEL_SDK_DISABLED: 'no' })).toHaveProperty('sampler');
    const { warnings, ...rest } = readTracingSettings({ OTEL_TRACES_EXPORTER: 'zipkin' });
    expect([warnings, rest]).toEqual([[expect.stringContaining('nothing is traced')], {}]);
  });
});

describe('traceparent', () => {
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));

  test('is read whatever its ids, and its flags say whether the trace is kept', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.nat(255), (traceId, spanId, flags) => {
        const text = `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`;
        const isValid = /[^0]/.test(traceId) && /[^0]/.test(spanId);
        expect(parseTraceparent(text)).toEqual(
          isValid ? { traceId, spanId, traceFlags: flags & 1, isRemote: true } : undefined,
        );
      }),
    );
  });

  const IDS = `${'a'.repeat(32)}-${'b'.repeat(16)}`;
  test.each([
    ['of a later version, with more behind it', `01-${IDS}-01-more`, true],
    ['of this version, with more behind it', `00-${IDS}-01-more`, false],
    ['of the version that there is not', `ff-${IDS}-01`, false],
    ['in capitals', `00-${IDS.toUpperCase()}-01`, false],
    ['of a trace that is all zeros', `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`, false],
    ['that is empty', '', false],
  ])('%s is taken or not', (_what, text, isTaken) => {
    expect(parseTraceparent(text) !== undefined).toBe(isTaken);
  });
});
